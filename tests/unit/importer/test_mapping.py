"""Mapping files: what they may say, and how they fail."""

from __future__ import annotations

from pathlib import Path

import pytest

from streams.importer.mapping import MappingError, load
from tests.unit.importer.build import mapping


def test_every_fault_is_named_at_once() -> None:
    """Unknown keys and bad values come in one error, each with its place."""
    with pytest.raises(MappingError) as caught:
        mapping("otherwise = {}\n[item]\nproduct = 'p'\n[money]\nfactor = 0\n[nonsense]\n")
    message = str(caught.value)
    for fault in (
        "item.product_id: is missing",
        "item.product: unknown key",
        "money.factor",
        "nonsense: unknown key",
    ):
        assert fault in message


@pytest.mark.parametrize(
    ("more", "fault"),
    [
        ("[file]\ndelimiter = ';;'", "file.delimiter"),
        ("[item]\nproduct_id = 'p'\nprice = 'a'\ntotal = 'b'", "price or total"),
        ("[order]\nrevenue = 'items'", "needs [item]"),
        ("[order]\nid = { template = 'x' }", "names no column"),
        ("[order]\nid = { template = '{a!r}' }", "only {column}"),
        ("[order]\nid = { column = 'a', constant = 'b' }", "one of column, constant, template"),
        ("[fields]\nno_such_field = 'a'", "no channel has no_such_field"),
    ],
)
def test_contradictions_are_refused(more: str, fault: str) -> None:
    """What cannot be meant is an error, with its reason."""
    with pytest.raises(MappingError) as caught:
        mapping(more)
    assert fault in str(caught.value)


@pytest.mark.parametrize(
    ("line", "instead", "fault"),
    [
        ('channel = { constant = "web" }', 'channel = { constant = "fax" }', "fax"),
        ('duplicates = "distinct"', "", 'duplicates = "same" or "distinct"'),
        ('duplicates = "distinct"', 'column = "id"\nduplicates = "same"', "duplicates is for ids by content"),
        ('column = "at"', 'column = "at"\nzone = "Mars/Base"', "Mars/Base"),
        ('column = "at"', 'column = "at"\nformat = "seconds"', "strptime"),
        ('column = "what"', 'column = "what"\nskip = ["view"]', "view in names and in skip"),
        ('identifiers = { user_id = "user" }', "identifiers = {}", "identifiers"),
        ('identifiers = { user_id = "user" }', 'identifiers = { "User Id" = "user" }', "identifiers"),
    ],
)
def test_what_a_mapping_must_say(line: str, instead: str, fault: str) -> None:
    """Channel, time, identity and what equal rows are cannot be left in doubt."""
    from tests.unit.importer.build import SHOP

    with pytest.raises(MappingError) as caught:
        mapping(base=SHOP.replace(line, instead))
    assert fault in str(caught.value)


def test_columns_say_what_they_are_for() -> None:
    """Every column a mapping reads is known, with the places that read it."""
    found = mapping(
        "[item]\nproduct_id = 'sku'\nprice = 'price'\n[order]\nid = { template = '{user}-{at}' }\n"
        "[campaign]\nsource = 'utm'\n[properties]\nshop = { constant = 'x' }\ncolour = 'colour'"
    ).columns()
    assert found == {
        "at": ["time.column", "order.id"],
        "what": ["event.column"],
        "user": ["identifiers.user_id", "order.id"],
        "sku": ["item.product_id"],
        "price": ["item.price"],
        "utm": ["campaign.source"],
        "colour": ["properties.colour"],
    }


def test_fields_of_a_list_are_no_columns() -> None:
    """With `each` a mapping reads one column for all items, and the rest from what lies in it."""
    found = mapping("[item]\neach = 'lines'\nproduct_id = 'sku'\nprice = 'price'")
    assert found.columns().keys() == {"at", "what", "user", "lines"}
    assert found.item is not None
    assert found.item.names() == ("sku", "price")


def test_a_file_that_is_no_toml(tmp_path: Path) -> None:
    """A broken or missing file is an error of the mapping, with its name."""
    broken = tmp_path / "m.toml"
    broken.write_text("[time\n")
    for path in (broken, tmp_path / "absent.toml"):
        with pytest.raises(MappingError, match=path.name):
            load(path)
