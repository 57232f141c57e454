"""The products a row is about, and what they are worth.

Pure: texts in, items out as dicts of the envelope. Must not know which events sell anything.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

from streams.importer.lookup import Texts, column_of, text_of
from streams.importer.mapping import Item
from streams.importer.nested import as_text, decode, find
from streams.importer.rejects import Reason, RowRejected
from streams.importer.values import read_quantity, share

Fields = dict[str, Any]

ReadItems = Callable[[Texts], tuple[list[Fields], int | None]]
"""From a row to (its items, what they are worth together); no item is worth nothing known."""


def items_reader(mapped: Item, index: dict[str, int], read_micros: Callable[[str], int]) -> ReadItems:
    """A function from a row to its items, which raises ValueError for a number that is none, and RowRejected."""
    if mapped.each is not None:
        return _listed(mapped, mapped.each, index, read_micros=read_micros)
    read = _item_reader(mapped, index, read_micros)

    def items(values: Texts) -> tuple[list[Fields], int | None]:
        found = read(values)
        return ([], None) if found is None else ([found[0]], found[1])

    return items


def _listed(
    mapped: Item, each: str, index: dict[str, int], *, read_micros: Callable[[str], int]
) -> ReadItems:
    """The same of a row that holds a list of them."""
    names = mapped.names()
    get = column_of(each, index)
    read = _item_reader(mapped, {name: place for place, name in enumerate(names)}, read_micros)

    def items(values: Texts) -> tuple[list[Fields], int | None]:
        lines = [[as_text(find(element, name)) for name in names] for element in _elements(get(values), each)]
        found = [item for item in map(read, lines) if item is not None]
        return [item for item, _ in found], sum(worth for _, worth in found) if found else None

    return items


def _elements(text: str, column: str) -> Iterator[dict[str, Any]]:
    """The objects of a JSON list; none where there is no text."""
    try:
        listed = decode(text, column)
    except ValueError as error:
        raise RowRejected(Reason.UNREADABLE, str(error)) from None
    if listed is None:
        return
    if not isinstance(listed, list) or not all(isinstance(element, dict) for element in listed):
        raise RowRejected(Reason.UNREADABLE, f"{column} is not a list of objects")
    yield from listed


def _item_reader(
    mapped: Item, index: dict[str, int], read_micros: Callable[[str], int]
) -> Callable[[Texts], tuple[Fields, int] | None]:
    """A function from a row to (its item, what the line is worth), None without a product."""
    product_id = text_of(mapped.product_id, index)
    texts = [
        (name, text_of(value, index))
        for name, value in (("name", mapped.name), ("category", mapped.category))
        if value is not None
    ]
    get_quantity, get_price, get_total = (
        column_of(column, index) for column in (mapped.quantity, mapped.price, mapped.total)
    )

    def item(values: Texts) -> tuple[Fields, int] | None:
        product = product_id(values)
        if not product:
            return None
        fields: Fields = {"product_id": product}
        for name, get in texts:
            if text := get(values):
                fields[name] = text
        text = get_quantity(values)
        quantity = read_quantity(text) if text else 1
        if text := get_total(values):
            worth_micros = read_micros(text)
            price_micros = share(worth_micros, quantity) if quantity else worth_micros
        else:
            text = get_price(values)
            price_micros = read_micros(text) if text else 0
            worth_micros = price_micros * quantity
        fields["quantity"] = quantity
        fields["price_micros"] = price_micros
        return fields, worth_micros

    return item
