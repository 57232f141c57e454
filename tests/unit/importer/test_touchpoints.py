"""Rows to touchpoints: what each part of a mapping does."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest

from streams.importer.importing import touchpoints
from streams.importer.rejects import Reason, Reject
from tests.unit.importer.build import COLUMNS, SHOP, csv_text, json_text, mapping, write_file

AT, AT_MS = "2024-01-01 00:00:00", 1_704_067_200_000


def imported(
    tmp_path: Path,
    rows: Sequence[Sequence[str]],
    more: str = "",
    *,
    columns: Sequence[str] = COLUMNS,
    base: str = SHOP,
) -> tuple[list[dict[str, Any]], list[Reject]]:
    path = write_file(tmp_path / "rows.csv", csv_text(rows, columns=columns))
    rejects: list[Reject] = []
    found = list(touchpoints([path], mapping(more, base=base), "event", rejects.append))
    return found, rejects


def only(found: tuple[list[dict[str, Any]], list[Reject]]) -> dict[str, Any]:
    (touchpoint,), rejects = found
    assert rejects == []
    return touchpoint


def test_the_least_touchpoint(tmp_path: Path) -> None:
    """What a mapping does not name is not there; received is when it occurred."""
    touchpoint = only(imported(tmp_path, [(AT, "view", " ann ")]))
    assert len(touchpoint.pop("message_id")) == 32
    assert touchpoint == {
        "type": "track",
        "event": "Product Viewed",
        "channel": "web",
        "occurred_at": AT_MS,
        "received_at": AT_MS,
        "identifiers": {"user_id": "ann"},
    }


def test_every_field_of_the_envelope(tmp_path: Path) -> None:
    """Columns, constants and templates reach each field, and what is empty stays out."""
    columns = (*COLUMNS, "got", "mail", "sku", "n", "price", "cart", "shop", "utm", "page", "empty")
    row = (
        AT,
        "buy",
        "ann",
        "2024-01-01 00:00:05",
        "A@b.c",
        "p1",
        "3",
        "1.10",
        "c1",
        "s7",
        "news",
        "/p/1",
        "",
    )
    more = """
        cart_id = "cart"
        location_id = "shop"
        currency = { constant = "EUR" }
        identifiers = { user_id = "user", email = "mail", phone = "empty" }
        [item]
        product_id = "sku"
        name = { template = "product {sku}" }
        category = "empty"
        quantity = "n"
        price = "price"
        [order]
        id = { template = "{user}-{at}" }
        revenue = "items"
        [campaign]
        source = "utm"
        term = "empty"
        [fields]
        page_path = "page"
        [properties]
        shop = "shop"
        nothing = "empty"
    """
    head, tables = more.split("[item]", 1)
    base = head + SHOP.replace('identifiers = { user_id = "user" }', "").replace(
        'column = "at"', 'column = "at"\nreceived = "got"'
    )
    touchpoint = only(imported(tmp_path, [row], "[item]" + tables, columns=columns, base=base))
    touchpoint.pop("message_id")
    assert touchpoint == {
        "type": "track",
        "event": "Order Completed",
        "channel": "web",
        "occurred_at": AT_MS,
        "received_at": AT_MS + 5_000,
        "identifiers": {"user_id": "ann", "email": "A@b.c"},
        "cart_id": "c1",
        "order_id": f"ann-{AT}",
        "items": [{"product_id": "p1", "name": "product p1", "quantity": 3, "price_micros": 1_100_000}],
        "revenue_micros": 3_300_000,
        "currency": "EUR",
        "campaign": {"source": "news", "term": None},
        "location_id": "s7",
        "page_path": "/p/1",
        "properties": {"shop": "s7"},
    }


def test_orders_alone_have_revenue(tmp_path: Path) -> None:
    """Order id and revenue belong to orders; a product that is looked at costs nothing yet."""
    more = "[item]\nproduct_id = 'user'\nprice = 'price'\n[order]\nid = 'user'\nrevenue = 'items'"
    rows = [(AT, "view", "p", "5"), (AT, "buy", "p", "5")]
    (viewed, bought), _ = imported(tmp_path, rows, more, columns=(*COLUMNS, "price"))
    assert "order_id" not in viewed
    assert "revenue_micros" not in viewed
    assert (bought["order_id"], bought["revenue_micros"]) == ("p", 5_000_000)


def test_revenue_from_a_column(tmp_path: Path) -> None:
    """A column of cents is worth a hundredth; an empty one is no revenue rather than none of it."""
    more = "[money]\nfactor = 0.01\n[order]\nrevenue_column = 'cents'"
    rows = [(AT, "buy", "a", "1999"), (AT, "buy", "b", "")]
    (paid, unknown), _ = imported(tmp_path, rows, more, columns=(*COLUMNS, "cents"))
    assert paid["revenue_micros"] == 19_990_000
    assert "revenue_micros" not in unknown


def test_nothing_occurs_after_it_was_received(tmp_path: Path) -> None:
    """A clock that was ahead is set to the time of receipt."""
    base = SHOP.replace('column = "at"', 'column = "at"\nreceived = "got"')
    row = ("2090-01-01 00:00:00", "view", "ann", AT)
    touchpoint = only(imported(tmp_path, [row], columns=(*COLUMNS, "got"), base=base))
    assert (touchpoint["occurred_at"], touchpoint["received_at"]) == (AT_MS, AT_MS)


def test_events_outside_the_table(tmp_path: Path) -> None:
    """By default they are rejected; a mapping may keep or skip them, and skip single ones."""
    rows = [(AT, "view", "ann"), (AT, "ping", "ann"), (AT, "other", "ann")]
    for otherwise, events, reasons in (
        ("reject", ["Product Viewed"], [Reason.EVENT]),
        ("skip", ["Product Viewed"], []),
        ("keep", ["Product Viewed", "other"], []),
    ):
        base = SHOP.replace('column = "what"', f'column = "what"\nskip = ["ping"]\notherwise = "{otherwise}"')
        found, rejects = imported(tmp_path, rows, base=base)
        assert [touchpoint["event"] for touchpoint in found] == events
        assert [reject.reason for reject in rejects] == reasons


def test_calls(tmp_path: Path) -> None:
    """An event may be another of Segment's calls than `track`."""
    base = SHOP.replace('view = "Product Viewed"', 'view = { event = "Home", type = "page" }')
    assert only(imported(tmp_path, [(AT, "view", "ann")], base=base))["type"] == "page"


def test_channel_by_column(tmp_path: Path) -> None:
    """A table names the channel of a row; what is not in it takes the default, or must be a channel itself."""
    by_event = 'channel = { column = "what", names = { buy = "pos" }, default = "web" }'
    rows = [(AT, "view", "ann"), (AT, "buy", "ann")]
    found, _ = imported(tmp_path, rows, base=SHOP.replace('channel = { constant = "web" }', by_event))
    assert [touchpoint["channel"] for touchpoint in found] == ["web", "pos"]
    found, rejects = imported(
        tmp_path, rows, base=SHOP.replace('channel = { constant = "web" }', 'channel = "what"')
    )
    assert (found, [reject.reason for reject in rejects]) == ([], [Reason.CHANNEL] * 2)


def test_fields_of_other_channels_are_left_out(tmp_path: Path) -> None:
    """A channel's own field is only written where the channel has it."""
    base = SHOP.replace('channel = { constant = "web" }', 'channel = { constant = "pos" }')
    assert "page_path" not in only(
        imported(tmp_path, [(AT, "view", "ann")], "[fields]\npage_path = 'user'", base=base)
    )


@pytest.mark.parametrize("nobody", ["", "  ", "NULL", "0", "00-00", "guest"])
def test_a_row_without_identity_is_rejected(tmp_path: Path, nobody: str) -> None:
    """A value that identifies nobody is no key."""
    found, rejects = imported(tmp_path, [(AT, "view", nobody)])
    assert (found, [reject.reason for reject in rejects]) == ([], [Reason.IDENTIFIER])


@pytest.mark.parametrize(
    ("row", "reason"),
    [
        (("soon", "view", "ann", "1", "1"), Reason.TIME),
        ((AT, "view", "ann", "1,5", "1"), Reason.NUMBER),
        ((AT, "view", "ann", "1", "half"), Reason.NUMBER),
        ((AT, "view", "ann", "9e99", "1"), Reason.NUMBER),
    ],
)
def test_bad_values_reject_their_row_alone(tmp_path: Path, row: tuple[str, ...], reason: Reason) -> None:
    """One bad value costs one row, named by line and reason, and its neighbours are imported."""
    more = "[item]\nproduct_id = 'user'\nprice = 'price'\nquantity = 'n'"
    good = (AT, "view", "bob", "1", "1")
    found, rejects = imported(tmp_path, [good, row, good], more, columns=(*COLUMNS, "price", "n"))
    assert len(found) == 2
    assert [(reject.line, reject.reason) for reject in rejects] == [(3, reason)]
    assert isinstance(rejects[0].row, dict)
    assert tuple(rejects[0].row.values()) == row


def test_bytes_that_are_no_text(tmp_path: Path) -> None:
    """A row that is not in the file's encoding is rejected, not mended."""
    path = tmp_path / "rows.csv"
    path.write_bytes(b"at,what,user\n%b,view,ann\n%b,view,\xff\xfe\n" % (AT.encode(), AT.encode()))
    rejects: list[Reject] = []
    assert len(list(touchpoints([path], mapping(), "event", rejects.append))) == 1
    assert [(reject.line, reject.reason) for reject in rejects] == [(3, Reason.ENCODING)]


def test_nulls_are_nothing(tmp_path: Path) -> None:
    """Words that a file writes for nothing are nothing."""
    more = "[file]\nnulls = ['\\N']\n[properties]\ncolour = 'colour'"
    touchpoint = only(imported(tmp_path, [(AT, "view", "ann", "\\N")], more, columns=(*COLUMNS, "colour")))
    assert "properties" not in touchpoint


@pytest.mark.parametrize(("duplicates", "ids"), [("same", 2), ("distinct", 3)])
def test_equal_rows(tmp_path: Path, duplicates: str, ids: int) -> None:
    """Equal rows are all there; whether they are one touchpoint is what the mapping says."""
    rows = [(AT, "view", "ann"), (AT, "view", "ann"), (AT, "view", "bob")]
    base = SHOP.replace('"distinct"', f'"{duplicates}"')
    found, _ = imported(tmp_path, rows, base=base)
    assert (len(found), len({touchpoint["message_id"] for touchpoint in found})) == (3, ids)


def test_ids_do_not_change(tmp_path: Path) -> None:
    """An id depends on the row, not on the name or the packing of its file, so an import can be run again."""
    rows = [(AT, "view", "ann"), (AT, "view", "bob")]
    paths = [write_file(tmp_path / name, csv_text(rows)) for name in ("a.csv", "b.csv.gz")]
    ids = [[one["message_id"] for one in touchpoints([path], mapping(), "file")] for path in paths]
    assert ids[0] == ids[1]
    assert len(set(ids[0])) == 2


def test_ids_from_columns(tmp_path: Path) -> None:
    """A column or a template can be the id; a row without it is rejected."""
    base = SHOP.replace('duplicates = "distinct"', 'template = "{user}/{what}"')
    found, rejects = imported(tmp_path, [(AT, "view", "ann"), (AT, "buy", "ann")], base=base)
    assert [touchpoint["message_id"] for touchpoint in found] == ["ann/view", "ann/buy"]
    assert rejects == []
    base = SHOP.replace('duplicates = "distinct"', 'column = "id"')
    _, rejects = imported(tmp_path, [(AT, "view", "ann", "")], base=base, columns=(*COLUMNS, "id"))
    assert [reject.reason for reject in rejects] == [Reason.MESSAGE_ID]


LINES = """
    group_by = ["basket"]
    channel = { constant = "pos" }
    identifiers = { loyalty_id = "user" }
    [time]
    column = "at"
    [message_id]
    duplicates = "same"
    [event]
    constant = "Order Completed"
    [item]
    product_id = "sku"
    quantity = "n"
    total = "total"
    [order]
    id = "basket"
    revenue = "items"
"""


def test_lines_become_one_order(tmp_path: Path) -> None:
    """Consecutive lines of a basket are one order: items in order, revenue their sum, a bad line left out."""
    rows = [
        (AT, "ann", "b1", "p1", "2", "3.00"),
        (AT, "ann", "b1", "p2", "0", "1.00"),
        (AT, "ann", "b1", "p3", "x", "9.99"),
        (AT, "ann", "b1", "p1", "3", "1.00"),
        (AT, "bob", "b2", "p1", "1", "0.50"),
    ]
    found, rejects = imported(
        tmp_path, rows, base=LINES, columns=("at", "user", "basket", "sku", "n", "total")
    )
    assert [(one["order_id"], one["revenue_micros"], len(one["items"])) for one in found] == [
        ("b1", 5_000_000, 3),
        ("b2", 500_000, 1),
    ]
    assert [(item["product_id"], item["quantity"], item["price_micros"]) for item in found[0]["items"]] == [
        ("p1", 2, 1_500_000),
        ("p2", 0, 1_000_000),
        ("p1", 3, 333_333),
    ]
    assert [reject.line for reject in rejects] == [4]


def test_a_basket_that_comes_back_is_another_order(tmp_path: Path) -> None:
    """Lines that do not follow each other stay apart, with ids of their own: nothing is dropped as a duplicate."""
    rows = [(AT, "ann", basket, "p1", "1", "1.00") for basket in ("b1", "b2", "b1")]
    rows[2] = (AT, "ann", "b1", "p9", "1", "1.00")
    found, _ = imported(tmp_path, rows, base=LINES, columns=("at", "user", "basket", "sku", "n", "total"))
    assert [one["order_id"] for one in found] == ["b1", "b2", "b1"]
    assert len({one["message_id"] for one in found}) == 3


def test_json_content_makes_the_id(tmp_path: Path) -> None:
    """In JSON Lines the whole line is the row's content, columns that are not mapped too."""
    rows = [(AT, "view", "ann", "red"), (AT, "view", "ann", "blue"), (AT, "view", "ann", "red")]
    path = write_file(tmp_path / "rows.jsonl", json_text(rows, columns=(*COLUMNS, "colour")))
    found = touchpoints([path], mapping(base=SHOP.replace('"distinct"', '"same"')))
    assert len({one["message_id"] for one in found}) == 2


LISTED = """
    [item]
    each = "said.products"
    product_id = "sku"
    quantity = "n"
    price = "money.price"
    [order]
    revenue_column = "said.total"
"""


@pytest.mark.parametrize("name", ["rows.csv", "rows.jsonl"])
def test_a_list_of_items(tmp_path: Path, name: str) -> None:
    """A row has an item for each element that names a product; its revenue is its own and counts once."""
    products = '[{"sku":"p1","n":2,"money":{"price":1.10}},{"n":1},{"sku":"p2","money":null}]'
    said = f'{{"products":{products},"total":2.2}}'
    if name == "rows.csv":
        text = csv_text([(AT, "buy", "ann", said), (AT, "buy", "bob", "")], columns=(*COLUMNS, "said"))
    else:
        text = f'{{"at":"{AT}","what":"buy","user":"ann","said":{said}}}\n'
        text += json_text([(AT, "buy", "bob")])
    path = write_file(tmp_path / name, text)
    ann, bob = list(touchpoints([path], mapping(LISTED)))
    assert ann["items"] == [
        {"product_id": "p1", "quantity": 2, "price_micros": 1_100_000},
        {"product_id": "p2", "quantity": 1, "price_micros": 0},
    ]
    assert ann["revenue_micros"] == 2_200_000
    assert bob.keys().isdisjoint({"items", "revenue_micros"})


@pytest.mark.parametrize(
    ("said", "reason"),
    [
        ('{"sku":"p1"}', Reason.UNREADABLE),
        ('[{"sku":"p1"},"p2"]', Reason.UNREADABLE),
        ("[", Reason.UNREADABLE),
        ('[{"sku":"p1","n":"x"}]', Reason.NUMBER),
    ],
)
def test_what_is_no_list_of_items(tmp_path: Path, said: str, reason: Reason) -> None:
    """One bad element rejects its row, and that row alone."""
    rows = [(AT, "view", "ann", said), (AT, "view", "bob", "[]")]
    more = "[item]\neach = 'said'\nproduct_id = 'sku'\nquantity = 'n'"
    found, rejects = imported(tmp_path, rows, more, columns=(*COLUMNS, "said"))
    assert [one["identifiers"]["user_id"] for one in found] == ["bob"]
    assert [reject.reason for reject in rejects] == [reason]
