"""Put a mapping to work on a table: rows of text become touchpoints.

Pure apart from reading rows: no order, no Kafka. A touchpoint is the envelope as a dict, times in epoch
milliseconds, with the channel's own fields and `properties` beside it.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

from xxhash import xxh3_128_hexdigest

from schemas.catalog import CHANNELS
from schemas.layout import OWN_FIELDS, Kind
from streams.core.normalise import Normaliser
from streams.core.rules import Rules
from streams.importer.items import Fields, items_reader
from streams.importer.lookup import Texts, column_of, text_of, text_or_none
from streams.importer.mapping import Event, Mapping
from streams.importer.reading import Table, read_rows
from streams.importer.rejects import OnReject, Reason, Reject, RowRejected
from streams.importer.values import micros_reader, read_quantity, time_reader

_REMEMBERED = 100_000


@dataclass(slots=True)
class Touchpoint:
    """A touchpoint with its record key and the line it comes from (the first of a group)."""

    line: int
    key: bytes
    fields: Fields
    contents: list[str]


@dataclass(slots=True)
class Counts:
    """What became of the rows read so far."""

    read: int = 0
    skipped: int = 0


class Binding:
    """A mapping with its columns looked up in one table."""

    def __init__(self, mapping: Mapping, table: Table, *, rules: Rules) -> None:
        index = {name: place for place, name in enumerate(table.columns)}
        self._content = table.content
        self._nulls = frozenset(mapping.file.nulls)
        self._event = _events(mapping.event, index)
        self._channel = text_of(mapping.channel, index)
        read_time = time_reader(mapping.time.format, zone=mapping.time.zone)
        self._read_time = read_time
        self._occurred = column_of(mapping.time.column, index)
        self._received = column_of(mapping.time.received, index) if mapping.time.received else None
        self._identify = _identities(mapping, index, rules=rules)
        self._message_id = text_or_none(mapping.message_id.value(), index)
        self._is_distinct = mapping.message_id.duplicates == "distinct"
        self._read_micros = micros_reader(mapping.money.factor)
        self._items = items_reader(mapping.item, index, self._read_micros) if mapping.item else None
        self._order_events = frozenset(mapping.order.events)
        self._order_id = text_or_none(mapping.order.id, index)
        self._is_revenue_from_items = mapping.order.revenue == "items"
        revenue = mapping.order.revenue_column
        self._revenue = column_of(revenue, index) if revenue else None
        self._texts = [
            (name, text_of(value, index))
            for name, value in (
                ("currency", mapping.currency),
                ("cart_id", mapping.cart_id),
                ("location_id", mapping.location_id),
            )
            if value is not None
        ]
        self._campaign = [
            (name, text_of(value, index)) for name, value in mapping.campaign or () if value is not None
        ]
        self._properties = [(name, text_of(value, index)) for name, value in mapping.properties.items()]
        self._own = {
            channel: [
                (name, text_of(mapping.fields[name], index), kind)
                for name, kind in OWN_FIELDS[channel]
                if name in mapping.fields
            ]
            for channel in CHANNELS
        }
        self.group = [index[column] for column in mapping.group_by]

    def touchpoint(self, line: int, values: Texts) -> Touchpoint | None:
        """The touchpoint of a row, None for a row to skip. Raises RowRejected."""
        content = self._content(values)
        if not content.isascii():
            _require_text(content)
        if self._nulls:
            values = ["" if value in self._nulls else value for value in values]
        named = self._event(values)
        if named is None:
            return None
        event, call = named
        channel = self._channel(values)
        if channel not in self._own:
            raise RowRejected(Reason.CHANNEL, f"{channel!r} is no channel")
        received_ms, occurred_ms = self._times(values)
        identifiers, key = self._identify(values)
        fields: Fields = {
            "message_id": self._message_id(values) if self._message_id else "",
            "type": call,
            "event": event,
            "channel": channel,
            "occurred_at": occurred_ms,
            "received_at": received_ms,
            "identifiers": identifiers,
        }
        if self._message_id and not fields["message_id"]:
            raise RowRejected(Reason.MESSAGE_ID, "empty")
        for name, get in self._texts:
            if text := get(values):
                fields[name] = text
        self._add_commerce(fields, values)
        self._add_context(fields, values)
        return Touchpoint(line, key, fields, [content])

    def complete(self, touchpoint: Touchpoint) -> Touchpoint:
        """Give the touchpoint its id, now that all its lines are there."""
        if self._message_id is None:
            lines = touchpoint.contents
            content = lines[0] if len(lines) == 1 else "\x1e".join(lines)
            if self._is_distinct:
                content = f"{touchpoint.line}\x1e{content}"
            touchpoint.fields["message_id"] = xxh3_128_hexdigest(content.encode())
        return touchpoint

    def _times(self, values: Texts) -> tuple[int, int]:
        """(received, occurred), in this order: nothing occurs after it was received."""
        try:
            occurred_ms = self._read_time(self._occurred(values))
            text = self._received(values) if self._received else ""
            received_ms = self._read_time(text) if text else occurred_ms
        except ValueError as error:
            raise RowRejected(Reason.TIME, str(error)) from None
        return received_ms, min(occurred_ms, received_ms)

    def _add_commerce(self, fields: Fields, values: Texts) -> None:
        try:
            items, worth_micros = self._items(values) if self._items else (None, None)
            if items:
                fields["items"] = items
            if fields["event"] not in self._order_events:
                return
            if self._order_id and (order_id := self._order_id(values)):
                fields["order_id"] = order_id
            if self._is_revenue_from_items:
                fields["revenue_micros"] = worth_micros
            elif self._revenue and (text := self._revenue(values)):
                fields["revenue_micros"] = self._read_micros(text)
        except ValueError as error:
            raise RowRejected(Reason.NUMBER, str(error)) from None

    def _add_context(self, fields: Fields, values: Texts) -> None:
        """Campaign, own fields and properties; what is empty is left out."""
        if self._campaign:
            campaign = {name: get(values) or None for name, get in self._campaign}
            if any(campaign.values()):
                fields["campaign"] = campaign
        if self._properties:
            found = {name: text for name, get in self._properties if (text := get(values))}
            if found:
                fields["properties"] = found
        for name, get, kind in self._own[fields["channel"]]:
            if text := get(values):
                try:
                    fields[name] = _READ_OWN[kind](text)
                except ValueError as error:
                    raise RowRejected(Reason.NUMBER, f"{name}: {error}") from None


def read_touchpoints(
    table: Table, binding: Binding, on_reject: OnReject, *, counts: Counts, limit: int | None = None
) -> Iterator[Touchpoint]:
    """The touchpoints of a table in the order of its rows, lines of a group put together.

    `limit` is how many rows `counts` may reach.
    """
    rows = _each_row(table, binding, on_reject, counts=counts, limit=limit)
    if binding.group:
        yield from _grouped(rows, binding)
        return
    for _, touchpoint in rows:
        yield binding.complete(touchpoint)


def _each_row(
    table: Table, binding: Binding, on_reject: OnReject, *, counts: Counts, limit: int | None
) -> Iterator[tuple[Texts, Touchpoint]]:
    to_touchpoint = binding.touchpoint

    def count_unreadable(reject: Reject) -> None:
        counts.read += 1
        on_reject(reject)

    for line, values in read_rows(table, count_unreadable):
        if limit is not None and counts.read >= limit:
            return
        counts.read += 1
        try:
            touchpoint = to_touchpoint(line, values)
        except RowRejected as rejected:
            on_reject(Reject(str(table.path), line, rejected.reason, rejected.detail, table.shown(values)))
            continue
        if touchpoint is None:
            counts.skipped += 1
        else:
            yield values, touchpoint


def _grouped(rows: Iterator[tuple[Texts, Touchpoint]], binding: Binding) -> Iterator[Touchpoint]:
    whole: Touchpoint | None = None
    group: list[str] = []
    for values, line in rows:
        own = [values[place] for place in binding.group]
        if whole is not None and own == group and whole.fields["event"] == line.fields["event"]:
            _add_line(whole, line)
            continue
        if whole is not None:
            yield binding.complete(whole)
        whole, group = line, own
    if whole is not None:
        yield binding.complete(whole)


def _add_line(whole: Touchpoint, line: Touchpoint) -> None:
    """One more item of the same order: worth adds up, all else is as the first line says."""
    whole.contents += line.contents
    fields, more = whole.fields, line.fields
    if "items" in more:
        fields["items"] = fields.get("items", []) + more["items"]
    if more.get("revenue_micros") is not None:
        fields["revenue_micros"] = (fields.get("revenue_micros") or 0) + more["revenue_micros"]


def _require_text(content: str) -> None:
    try:
        content.encode()
    except UnicodeEncodeError as error:
        raise RowRejected(Reason.ENCODING, f"byte {error.start + 1} of the row is no text") from None


def _events(mapped: Event, index: dict[str, int]) -> Callable[[Texts], tuple[str, str] | None]:
    """A function from a row to (event, type), None for a row to skip."""
    if mapped.constant is not None:
        always = (mapped.constant, mapped.type)
        return lambda _: always
    get = column_of(mapped.column, index)
    known: dict[str, tuple[str, str] | None] = {
        theirs: (ours.event, ours.type or mapped.type) for theirs, ours in mapped.names.items()
    }
    known.update(dict.fromkeys(mapped.skip))

    def name(values: Texts) -> tuple[str, str] | None:
        theirs = get(values)
        if theirs in known:
            return known[theirs]
        if mapped.otherwise == "skip":
            return None
        if mapped.otherwise == "reject" or not theirs:
            raise RowRejected(Reason.EVENT, f"{theirs!r} is not in the mapping")
        return theirs, mapped.type

    return name


def _identities(
    mapping: Mapping, index: dict[str, int], *, rules: Rules
) -> Callable[[Texts], tuple[dict[str, str], bytes]]:
    """A function from a row to its identifiers and the key: the highest-ranked of those that identify."""
    order = [kind for kind in rules.ranks if kind in mapping.identifiers]
    normaliser = Normaliser(rules)
    getters = [(kind, text_of(mapping.identifiers[kind], index)) for kind in order]
    getters += [
        (kind, text_of(value, index)) for kind, value in mapping.identifiers.items() if kind not in order
    ]
    known: dict[tuple[str, ...], tuple[dict[str, str], bytes]] = {}

    def identify(values: Texts) -> tuple[dict[str, str], bytes]:
        texts = tuple([get(values).strip() for _, get in getters])
        found = known.get(texts)
        if found is None:
            identifiers = {kind: text for (kind, _), text in zip(getters, texts, strict=True) if text}
            usable = (normaliser.identifier(kind, identifiers[kind]) for kind in order if kind in identifiers)
            key = next((identifier for identifier in usable if identifier), None)
            if key is None:
                raise RowRejected(Reason.IDENTIFIER, f"none identifies: {identifiers}")
            if len(known) >= _REMEMBERED:
                known.clear()
            found = known[texts] = (identifiers, key.encode())
        return found

    return identify


def _read_boolean(text: str) -> bool:
    folded = text.lower()
    if folded in ("true", "1", "yes", "y", "t"):
        return True
    if folded in ("false", "0", "no", "n", "f"):
        return False
    raise ValueError(f"{text!r} is neither true nor false")


_READ_OWN: dict[Kind, Callable[[str], Any]] = {
    Kind.TEXT: str,
    Kind.LONG: read_quantity,
    Kind.DOUBLE: float,
    Kind.BOOLEAN: _read_boolean,
}
