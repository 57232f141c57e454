"""What a mapping file may say: which columns become which fields of a touchpoint.

Where a column holds JSON, `column.field` and `column.0.field` name what lies in it, as in JSON Lines.
Owns the words of the TOML file and their checks. Must not read data files; `touchpoints` uses the mapping.
"""

from __future__ import annotations

import string
import tomllib
from collections.abc import Iterator
from decimal import Decimal
from pathlib import Path
from typing import Annotated, Any, Literal
from zoneinfo import ZoneInfo

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, ValidationError, model_validator

from schemas.catalog import CHANNELS
from schemas.layout import OWN_FIELDS
from streams.importer.values import time_reader

_OWN_FIELDS = {name for fields in OWN_FIELDS.values() for name, _ in fields}

ORDER_COMPLETED = "Order Completed"


class MappingError(ValueError):
    """The mapping is wrong, or does not fit the files; the message names every fault."""


class Part(BaseModel):
    """A table of the mapping: nothing unknown, nothing changed later."""

    model_config = ConfigDict(frozen=True, extra="forbid")


class Value(Part):
    """Where a text comes from: a column, a constant, or a template of columns such as `{user}-{day}`.

    `names` translates what a column says; what it does not name becomes `default`, or stays as it is without
    one. An empty value is a missing one and becomes `default` too.
    """

    column: str | None = None
    constant: str | None = None
    template: str | None = None
    names: dict[str, str] = {}
    default: str | None = None

    @model_validator(mode="after")
    def _one_source(self) -> Value:
        if sum(source is not None for source in (self.column, self.constant, self.template)) != 1:
            raise ValueError("give one of column, constant, template")
        if self.template is not None:
            template_parts(self.template)
        return self

    def columns(self) -> Iterator[str]:
        """The columns it reads."""
        if self.column is not None:
            yield self.column
        if self.template is not None:
            yield from (column for _, column in template_parts(self.template) if column is not None)


def template_parts(template: str) -> list[tuple[str, str | None]]:
    """(text, column after it) of a template; raises ValueError for what is no plain `{column}`."""
    parts: list[tuple[str, str | None]] = []
    for text, column, spec, conversion in string.Formatter().parse(template):
        if column == "" or spec or conversion:
            raise ValueError(f"template {template!r}: only {{column}} may stand in braces")
        parts.append((text, column))
    if all(column is None for _, column in parts):
        raise ValueError(f"template {template!r} names no column; write constant instead")
    return parts


def _from_column(value: Any) -> Any:
    return {"column": value} if isinstance(value, str) else value


#: In a mapping a plain string means the column of that name.
Source = Annotated[Value, BeforeValidator(_from_column)]


class File(Part):
    """How the files are written. Without `format` the name says it; gzip is recognised by itself."""

    format: Literal["csv", "jsonl", "parquet"] | None = None
    delimiter: Annotated[str, Field(min_length=1, max_length=1)] = ","
    encoding: str = "utf-8-sig"
    header: tuple[str, ...] | None = None
    #: Values that mean "nothing", besides the empty one.
    nulls: tuple[str, ...] = ()
    #: Mapped columns that a file may lack.
    optional: tuple[str, ...] = ()


class Time(Part):
    """When it happened, and when it was received where that is known; both in the same format."""

    column: str
    format: str = "iso"
    zone: str = "UTC"
    received: str | None = None

    @model_validator(mode="after")
    def _readable(self) -> Time:
        try:
            ZoneInfo(self.zone)
        except (KeyError, ValueError, OSError):
            raise ValueError(f"{self.zone!r} is no time zone, as Europe/Berlin is one") from None
        time_reader(self.format, zone=self.zone)
        if self.format not in ("iso", "unix_s", "unix_ms") and "%" not in self.format:
            raise ValueError("format is iso, unix_s, unix_ms or a strptime format such as %Y-%m-%d %H:%M:%S")
        return self


class MessageId(Part):
    """What makes a touchpoint the same one again: a column, a template, or else the content of its row.

    By content, equal rows are one touchpoint delivered twice (`duplicates = "same"`) or several that look
    alike (`"distinct"`: the row number counts too).
    """

    column: str | None = None
    template: str | None = None
    duplicates: Literal["same", "distinct"] | None = None

    @model_validator(mode="after")
    def _decided(self) -> MessageId:
        is_given = self.column is not None or self.template is not None
        if is_given and self.duplicates is not None:
            raise ValueError("duplicates is for ids by content, without column and template")
        if not is_given and self.duplicates is None:
            raise ValueError(
                'say what equal rows are: duplicates = "same" or "distinct"; or give column or template'
            )
        self.value()
        return self

    def value(self) -> Value | None:
        """Where the id stands, or None for ids by content."""
        if self.column is None and self.template is None:
            return None
        return Value(column=self.column, template=self.template)


class EventName(Part):
    """Our name for an event of theirs, with Segment's call where it is not `track`."""

    event: str
    type: Literal["track", "identify", "page", "screen", "group", "alias"] | None = None


def _from_name(value: Any) -> Any:
    return {"event": value} if isinstance(value, str) else value


class Event(Part):
    """What happened: one event for every row, or a table from their names to ours.

    Rows whose event stands in `skip` are left out and counted; `otherwise` says what an event in neither is.
    """

    column: str | None = None
    constant: str | None = None
    type: Literal["track", "identify", "page", "screen", "group", "alias"] = "track"
    names: dict[str, Annotated[EventName, BeforeValidator(_from_name)]] = {}
    skip: tuple[str, ...] = ()
    otherwise: Literal["reject", "skip", "keep"] = "reject"

    @model_validator(mode="after")
    def _one_source(self) -> Event:
        if (self.column is None) == (self.constant is None):
            raise ValueError("give one of column, constant")
        if self.constant is not None and (self.names or self.skip):
            raise ValueError("names and skip belong to a column")
        both = sorted(set(self.names) & set(self.skip))
        if both:
            raise ValueError(f"{', '.join(both)} in names and in skip")
        return self


class Item(Part):
    """The product a row is about; rows without `product_id` have none.

    `price` is for one piece, `total` for the row: give one. Quantity is 1 where nothing says otherwise. With `each`,
    the column of a JSON list of objects, all the others name fields of one of these: a row has as many items.
    """

    each: str | None = None
    product_id: Source
    name: Source | None = None
    category: Source | None = None
    quantity: str | None = None
    price: str | None = None
    total: str | None = None

    @model_validator(mode="after")
    def _one_price(self) -> Item:
        if self.price is not None and self.total is not None:
            raise ValueError("give price or total, not both")
        return self

    def names(self) -> tuple[str, ...]:
        """What it reads of a row, or of each element of the list in one."""
        return tuple(dict.fromkeys(column for place, column in _columns(self, "item.") if place != _EACH))


class Order(Part):
    """What only orders have: their id, and their revenue from a column or from the items."""

    events: tuple[str, ...] = (ORDER_COMPLETED,)
    id: Source | None = None
    revenue: Literal["items"] | None = None
    revenue_column: str | None = None

    @model_validator(mode="after")
    def _one_revenue(self) -> Order:
        if self.revenue is not None and self.revenue_column is not None:
            raise ValueError("give revenue or revenue_column, not both")
        return self


class Campaign(Part):
    """What led there."""

    source: Source | None = None
    medium: Source | None = None
    name: Source | None = None
    term: Source | None = None
    content: Source | None = None


class Money(Part):
    """In which unit prices stand: `factor = 0.01` for cents."""

    factor: Annotated[Decimal, Field(gt=0)] = Decimal(1)


IdentifierType = Annotated[str, Field(pattern=r"^[a-z][a-z0-9_]*$")]


class Mapping(Part):
    """A whole mapping file."""

    file: File = File()
    time: Time
    message_id: MessageId
    event: Event
    channel: Source
    identifiers: Annotated[dict[IdentifierType, Source], Field(min_length=1)]
    item: Item | None = None
    order: Order = Order()
    money: Money = Money()
    currency: Source | None = None
    cart_id: Source | None = None
    location_id: Source | None = None
    campaign: Campaign | None = None
    #: The channel's own fields; where a row's channel has no such field, it is left out.
    fields: dict[str, Source] = {}
    properties: dict[str, Source] = {}
    #: Consecutive rows that agree in these columns are the lines of one touchpoint: its items.
    group_by: tuple[str, ...] = ()

    @model_validator(mode="after")
    def _consistent(self) -> Mapping:
        named = {self.channel.constant, self.channel.default, *self.channel.names.values()} - {None}
        unknown = sorted(str(name) for name in named if name not in CHANNELS)
        if unknown:
            raise ValueError(f"channel: {', '.join(unknown)} is none; channels are {', '.join(CHANNELS)}")
        strange = sorted(set(self.fields) - _OWN_FIELDS)
        if strange:
            raise ValueError(f"fields: no channel has {', '.join(strange)}")
        if self.order.revenue == "items" and self.item is None:
            raise ValueError("order: revenue from items needs [item]")
        return self

    def columns(self) -> dict[str, list[str]]:
        """Every column it reads, with the places in the mapping that name it."""
        found: dict[str, list[str]] = {}
        for place, column in _columns(self, ""):
            found.setdefault(column, []).append(place)
        return found


def _columns(part: Part, prefix: str) -> Iterator[tuple[str, str]]:
    for field, value in part:
        place = f"{prefix}{field}"
        if isinstance(value, Value):
            yield from ((place, column) for column in value.columns())
        elif isinstance(value, MessageId):
            yield from ((place, column) for column in (value.value() or Value(constant="")).columns())
        elif isinstance(value, Item) and value.each is not None:
            yield _EACH, value.each
        elif isinstance(value, Part):
            yield from _columns(value, f"{place}.")
        elif isinstance(value, dict):
            for name, one in value.items():
                if isinstance(one, Value):
                    yield from ((f"{place}.{name}", column) for column in one.columns())
        elif (prefix, field) in _PLAIN_COLUMNS and value:
            yield from ((place, column) for column in ((value,) if isinstance(value, str) else value))


_EACH = "item.each"

#: Fields that name a column by a plain string.
_PLAIN_COLUMNS = {
    ("time.", "column"),
    ("time.", "received"),
    ("event.", "column"),
    ("item.", "each"),
    ("item.", "quantity"),
    ("item.", "price"),
    ("item.", "total"),
    ("order.", "revenue_column"),
    ("", "group_by"),
}


def load(path: Path) -> Mapping:
    """Read a mapping file. Raises MappingError naming every unknown key and bad value."""
    try:
        text = path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise MappingError(f"cannot read {path}: {error}") from None
    return parse(text, name=str(path))


def parse(text: str, *, name: str = "mapping") -> Mapping:
    """The same from text; `name` is what errors call it."""
    try:
        # Decimals, so that a factor of 0.01 is exactly that.
        return Mapping.model_validate(tomllib.loads(text, parse_float=Decimal))
    except tomllib.TOMLDecodeError as error:
        raise MappingError(f"{name}: {error}") from None
    except ValidationError as error:
        faults = "; ".join(_fault(fault) for fault in error.errors())
        raise MappingError(f"{name}: {faults}") from None


def _fault(fault: Any) -> str:
    place = ".".join(str(step) for step in fault["loc"])
    what = {"extra_forbidden": "unknown key", "missing": "is missing"}.get(fault["type"])
    said = what or fault["msg"].removeprefix("Value error, ")
    return f"{place}: {said}" if place else said
