"""Every setting of Throughline: its name, type, bounds, default and meaning, in one place.

The environment (`THROUGHLINE_<SECTION>_<KEY>`) wins over the file, the file over the defaults. Must not know
what a room does with a value, and opens nothing but the file it is given.
"""

from __future__ import annotations

from collections.abc import Mapping
from itertools import pairwise
from pathlib import Path
from typing import Annotated, Literal

from pydantic import AfterValidator, Field, ValidationInfo, field_validator

from streams.accepted import blocked_entries, domains, known_channels, known_region, unique
from streams.endpoints import Webhook
from streams.layered import Layers, Section, SettingsError
from streams.warehouses import ClickHouse, Port, Sink, Warehouse

__all__ = ["NOT_SETTINGS", "PREFIX", "Settings", "SettingsError", "layers", "load", "variable"]

PREFIX = "THROUGHLINE_"

# Names with our prefix that are no settings: they say where to look, or how to test.
NOT_SETTINGS = {
    "THROUGHLINE_SETTINGS": "path of the settings file, like --settings",
    "THROUGHLINE_SHARED_DATA": "tests: folder of the public data sets",
    "THROUGHLINE_REQUIRE": "tests: what may not be skipped (kafka, data, clients)",
    "THROUGHLINE_SEED": "tests: repeats a run",
    "THROUGHLINE_HISTORIES": "tests: how many histories full of merges and splits are compared",
    "THROUGHLINE_SEEDS": "tests: how many worlds the simulation plays",
    "THROUGHLINE_FIRST_SEED": "tests: the first of them",
    "THROUGHLINE_FAILPOINTS": "tests: where a worker ends, freezes or fails (streams/runtime/failpoints.py)",
    "THROUGHLINE_BENCH": "benchmarks: a worker prints its figures when it stops",
}

Name = Annotated[str, Field(pattern=r"^[a-zA-Z0-9][a-zA-Z0-9._-]*$")]
IdentifierType = Annotated[str, Field(pattern=r"^[a-z][a-z0-9_]*$")]
Channels = Annotated[tuple[str, ...], AfterValidator(known_channels), AfterValidator(unique)]
Seconds = Annotated[int, Field(ge=1)]


class App(Section):
    """Who this installation is."""

    name: Name = Field(
        default="throughline", description="Consumer group of the workers; the sink's is `<name>-sink`."
    )


class Kafka(Section):
    """The broker, and the shape of the topics on it."""

    bootstrap_servers: str = Field(
        default="127.0.0.1:9092",
        pattern=r"^[^\s,:]+:\d+(,[^\s,:]+:\d+)*$",
        description="Where the brokers are: `host:port`, several with commas.",
    )
    partitions: int = Field(default=4, ge=1, le=1024, description="Partitions of every topic: as many tasks.")
    replication_factor: int = Field(
        default=1, ge=1, le=15, description="Copies of every topic that `topics create` asks for."
    )
    retention_days: int = Field(
        default=7,
        ge=1,
        le=3_650,
        description="How long every topic keeps its records; dead letters 30 days or more, changelog, acts for ever.",
    )
    max_record_bytes: int = Field(
        default=983_040,
        ge=1_024,
        le=67_108_864,
        description="A larger record becomes a dead letter before it reaches the broker.",
    )


class Registry(Section):
    """Where schema ids come from."""

    url: str = Field(
        default="",
        pattern=r"^$|^https?://[^\s/]+",
        description="Confluent-compatible Schema Registry that `schemas register` publishes to; empty: none.",
    )


class Worker(Section):
    """How a worker reads, commits and reports."""

    processing_guarantee: Literal["auto", "exactly_once", "at_least_once"] = Field(
        default="auto",
        description="What a crash may cause: nothing, or repeats, which ids make recognisable; auto: exactly_once on "
        "a real Kafka, at_least_once on the embedded broker, which has no transactions.",
    )
    transaction_timeout_s: int = Field(
        default=30,
        ge=5,
        le=900,
        description="The broker gives up a transaction after so many seconds, and with it its worker.",
    )
    session_s: int = Field(
        default=6,
        ge=6,
        le=1_800,
        description="The group gives away the tasks of a worker that was silent for so many seconds.",
    )
    instance_id: str = Field(
        default="",
        pattern=r"^$|^[a-zA-Z0-9][a-zA-Z0-9._-]*$",
        description="A name only this worker has: restarted within session_s, it keeps its tasks; empty: when it "
        "stops, they move at once.",
    )
    clock: Literal["live", "replay"] = Field(
        default="live",
        description="What moves timers: append times of records, or the ticks of an import or a simulation.",
    )
    batch_records: int = Field(
        default=2_000, ge=1, le=100_000, description="A micro-batch is full with so many records."
    )
    batch_bytes: int = Field(
        default=1_048_576, ge=1_024, description="A micro-batch is full with so many bytes."
    )
    fetch_buffer_bytes: int = Field(
        default=67_108_864,
        ge=1_048_576,
        description="When a worker holds so much, fetched and not yet taken, it fetches no more.",
    )
    poll_ms: int = Field(
        default=20,
        ge=1,
        le=60_000,
        description="The least time between two batches of a task that are not full, in milliseconds.",
    )
    max_dead_share: float = Field(
        default=0.5,
        ge=0.0,
        le=1.0,
        description="A larger share of dead letters in the records lately read stops the worker, before they are one.",
    )
    stall_s: int = Field(
        default=120,
        ge=0,
        description="A worker that commits nothing for so many seconds while records wait ends itself; 0: never.",
    )
    metrics_port: Port = Field(default=0, description="Port of /metrics, /livez and /readyz; 0: none.")
    log_level: Literal["DEBUG", "INFO", "WARNING", "ERROR"] = Field(
        default="WARNING", description="The least severe log record that is written."
    )


class State(Section):
    """Where a worker keeps the state of its tasks. The changelog has all of it, whatever is chosen here."""

    store: Literal["memory", "rocksdb"] = Field(
        default="memory",
        description="`rocksdb` holds more than fits into memory, and reads but the changelog's tail at a restart.",
    )
    directory: str = Field(
        default=".throughline/state",
        min_length=1,
        description="Where RocksDB keeps its files. Every worker needs a directory of its own.",
    )
    cache_bytes: int = Field(
        default=12 * 1024 * 1024,
        ge=1024 * 1024,
        description="RocksDB: what a worker keeps in memory of blocks it has read and of what it has not yet flushed.",
    )
    memtable_bytes: int = Field(
        default=8 * 1024 * 1024,
        ge=1024 * 1024,
        description="RocksDB: of it, what is not yet flushed; read again from the changelog after a crash.",
    )
    buffer_bytes: int = Field(
        default=2 * 1024 * 1024,
        ge=0,
        description="RocksDB: changes that wait in front of it, so that what changes often is written once.",
    )


class Identity(Section):
    """What identifies a person."""

    ranks: Annotated[tuple[IdentifierType, ...], Field(min_length=1), AfterValidator(unique)] = Field(
        default=("user_id", "loyalty_id", "email", "phone", "device_id", "anonymous_id"),
        description="Identifier types, the strongest first. A person is named after its strongest.",
    )
    limits: dict[IdentifierType, Annotated[int, Field(ge=0)]] = Field(
        default={"user_id": 1, "loyalty_id": 1, "email": 5, "phone": 5, "device_id": 50, "anonymous_id": 50},
        description="How many of a type one person has at most; 0: any number. Types not named keep their default.",
    )
    on_conflict: dict[IdentifierType, Literal["keep", "move"]] = Field(
        default={},
        description="Whose an identifier is that two people use: `keep`, the first one's; `move`, the latest one's.",
    )
    shared_profiles: int = Field(
        default=10,
        ge=0,
        description="An identifier that so many people claim within `shared_within_s` is nobody's (a kiosk); 0: never.",
    )
    shared_within_s: Seconds = Field(default=86_400, description="See `shared_profiles`; in event time.")
    default_region: Annotated[str, AfterValidator(known_region)] = Field(
        default="",
        description="Region, like DE, of phone numbers without + or 00; empty: such numbers stay as they are written.",
    )
    drop_plus_tags: Annotated[tuple[str, ...], AfterValidator(domains)] = Field(
        default=(),
        description="Domains where `ann+shop@` is the address `ann@`; `*` alone: all of them.",
    )
    blocked: Annotated[tuple[str, ...], AfterValidator(blocked_entries)] = Field(
        default=(),
        description="What identifies nobody, beside `null`, `test` and their like: `value`, `type:value` or "
        "`type:pattern` with * and ?.",
    )


class Sessions(Section):
    """When a visit ends."""

    gap_s: Seconds = Field(
        default=1_800, description="A session ends after so many seconds without a touchpoint."
    )
    gaps_s: Annotated[dict[str, Seconds], AfterValidator(known_channels)] = Field(
        default={}, description="The same for single channels: `web = 900`."
    )
    most_touchpoints: int = Field(
        default=20_000,
        ge=100,
        description="So many of one person are remembered for 72 h; a bot's further ones land without a session.",
    )
    most_campaigns: int = Field(
        default=2_000, ge=10, description="So many of those that tell a campaign; see `most_touchpoints`."
    )
    events: Annotated[
        tuple[Annotated[str, Field(min_length=1, max_length=100)], ...],
        Field(max_length=100),
        AfterValidator(unique),
    ] = Field(
        default=(),
        description="Names of events that the path of a session tells apart, beside Segment's: at most 100. State has "
        "their places: only ever append to it.",
    )


class Carts(Section):
    """When a cart counts as abandoned, and as recovered."""

    abandon_after_s: Seconds = Field(
        default=1_800, description="A cart is abandoned after so many seconds without its owner."
    )
    recovery_s: Seconds = Field(
        default=259_200, description="A purchase within so many seconds after the action recovers the cart."
    )
    reminders_s: tuple[Seconds, ...] = Field(
        default=(),
        description="A cart that is still abandoned is due again so many seconds after its owner fell silent, once the "
        "owner is silent: rising, all later than abandon_after_s, none later than recovery_s; as in [86400, 259200].",
    )
    leftovers: Literal["drop", "keep"] = Field(
        default="drop",
        description="What an order leaves of a cart that it was not made from, and has not all products of: drop, it "
        "goes as well; keep, it stays and may be abandoned.",
    )
    browse_views: int = Field(
        default=0,
        ge=0,
        le=100,
        description="So many views of products with nothing in the cart make a browse, which is abandoned after "
        "abandon_after_s as a cart is, once within recovery_s; 0: browses do not count, and views are not remembered.",
    )
    most_entries: int = Field(
        default=2_000,
        ge=10,
        description="So many touchpoints about one person's carts and browses are remembered; a bot's further ones "
        "land without a session.",
    )

    @field_validator("reminders_s")
    @classmethod
    def _follow_each_other(cls, reminders_s: tuple[int, ...], known: ValidationInfo) -> tuple[int, ...]:
        # Where one of the others is wrong, that is said.
        times = (known.data.get("abandon_after_s", 0), *reminders_s)
        if any(later <= earlier for earlier, later in pairwise(times)):
            raise ValueError(f"must rise, from more than abandon_after_s, {times[0]}")
        if times[-1] > known.data.get("recovery_s", times[-1]):
            raise ValueError(f"must not be later than recovery_s, {known.data['recovery_s']}")
        return reminders_s


class Actions(Section):
    """When an action is decided, and how long it is good for."""

    timer_lateness_s: int = Field(
        default=10,
        ge=0,
        description="A timer waits so many seconds more, for records that are still on their way into Kafka.",
    )
    max_age_s: Seconds = Field(
        default=86_400,
        description="An action decided later than this after its due time is historical: never sent.",
    )
    expires_s: Seconds = Field(
        default=86_400, description="An action is worth sending for so many seconds after its due time."
    )
    channels: Channels = Field(
        default=("email", "sms", "push"), description="Channels to reach a person, the preferred first."
    )


class Settings(Section):
    """All of them. `load` makes one; nobody changes it."""

    app: App = Field(default_factory=App)
    kafka: Kafka = Field(default_factory=Kafka)
    registry: Registry = Field(default_factory=Registry)
    worker: Worker = Field(default_factory=Worker)
    state: State = Field(default_factory=State)
    identity: Identity = Field(default_factory=Identity)
    sessions: Sessions = Field(default_factory=Sessions)
    carts: Carts = Field(default_factory=Carts)
    actions: Actions = Field(default_factory=Actions)
    clickhouse: ClickHouse = Field(default_factory=ClickHouse)
    sink: Sink = Field(default_factory=Sink)
    warehouse: Warehouse = Field(default_factory=Warehouse)
    webhook: Webhook = Field(default_factory=Webhook)


def variable(section: str, key: str) -> str:
    """The environment variable of one setting."""
    return f"{PREFIX}{section}_{key}".upper()


def load(toml: Path | None, environ: Mapping[str, str]) -> Settings:
    """Defaults, then the file (if any), then the environment. Raises SettingsError naming every problem."""
    return layers(toml, environ).settings


def layers(toml: Path | None, environ: Mapping[str, str]) -> Layers[Settings]:
    """The same, with where each value came from."""
    return Layers(Settings, toml, environ=environ, prefix=PREFIX, not_settings=NOT_SETTINGS)
