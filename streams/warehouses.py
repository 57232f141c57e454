"""Settings of what lies behind the sink: ClickHouse, how chunks are cut for it, and the embedded warehouse."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field, field_validator

from streams.layered import Section

__all__ = ["ClickHouse", "HttpUrl", "Port", "Sink", "Warehouse"]

Port = Annotated[int, Field(ge=0, le=65535)]
HttpUrl = Annotated[str, Field(pattern=r"^https?://[^\s/]+")]
Days = Annotated[int, Field(ge=0, le=36_500)]


class ClickHouse(Section):
    """The warehouse, over its HTTP interface."""

    url: HttpUrl = Field(
        default="http://127.0.0.1:8123", description="HTTP interface of ClickHouse, embedded or a server."
    )
    user: str = Field(default="throughline", min_length=1, description="User of the sink and of queries.")
    password: str = Field(
        default="throughline",
        repr=False,
        json_schema_extra={"secret": True},
        description="The user's password.",
    )
    database: str = Field(
        default="throughline",
        pattern=r"^[a-zA-Z_][a-zA-Z0-9_]*$",
        description="Database of all tables and views.",
    )


class Sink(Section):
    """How the sink cuts its chunks."""

    chunk_rows: int = Field(
        default=100_000, ge=1, le=10_000_000, description="A chunk is inserted when it holds so many rows."
    )
    chunk_s: float = Field(
        default=0.6,
        gt=0.0,
        le=3_600.0,
        description="A chunk is inserted when its first row is so many seconds old.",
    )
    max_dead_share: float = Field(
        default=0.5,
        ge=0.0,
        le=1.0,
        description="A larger share of dead letters in the records lately landed stops the sink, before they are one.",
    )


class Warehouse(Section):
    """The embedded ClickHouse, and how long any ClickHouse keeps raw rows."""

    directory: str = Field(
        default="", description="Where it keeps its data; empty: it has to be named on the command line."
    )
    port: Port = Field(
        default=8123, description="Port of its HTTP interface, on loopback only; 0: any free one."
    )
    reader: str = Field(
        default="reader",
        min_length=1,
        description="A second user, for BI tools and notebooks, who may only read; the first is clickhouse.user.",
    )
    reader_password: str = Field(
        default="",
        repr=False,
        json_schema_extra={"secret": True},
        description="The reader's password; empty: there is no reader.",
    )
    memory_mb: int = Field(
        default=0,
        ge=0,
        le=16_000_000,
        description="Megabytes all statements may use, one of them three quarters; 0: a quarter of the machine's.",
    )
    touchpoints_days: Days = Field(
        default=0,
        description="Touchpoints are kept for so many days after they happened, at the next migrate; 0: for ever.",
    )
    sessions_days: Days = Field(
        default=0, description="Sessions, for so many days after their last touchpoint; 0: for ever."
    )
    carts_days: Days = Field(
        default=0, description="Carts, for so many days after their last change; 0: for ever."
    )
    actions_days: Days = Field(
        default=0, description="Actions, for so many days after they were decided; 0: for ever."
    )
    deliveries_days: Days = Field(
        default=0, description="Deliveries, for so many days after the attempt; 0: for ever."
    )

    @field_validator("memory_mb")
    @classmethod
    def _enough_or_unset(cls, memory_mb: int) -> int:
        if 0 < memory_mb < 256:
            raise ValueError("the warehouse needs 256 MB or more")
        return memory_mb
