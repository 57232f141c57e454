"""What each path of the codec costs a record, beside fastavro decoding or encoding the whole of it.

    python -m tests.bench.bench_codec

Microseconds of this process's CPU time, the least of many rounds: what the path costs when nobody disturbs it.
The ratio is what to compare between machines.
"""

from __future__ import annotations

import argparse
import datetime
import io
import platform
import time
from collections.abc import Callable
from typing import Any, NamedTuple

import fastavro

from schemas import codec
from schemas.catalog import Catalog
from schemas.codec import without_logical_types
from schemas.decision_writer import counts_bytes, encode_session, texts_bytes

ROUND_RECORDS = 2_000
PERSON = "0f8fad5b-d9cb-469f-a165-70867728950e"
SESSION = "7c9e6679-7425-40de-944b-e07fc1f90ae7"

VIEW = {
    "message_id": "5bb1d4cb-64bd-4d1c-a1b9-57e1a7a6c3a4",
    "type": "track",
    "event": "Product Viewed",
    "channel": "web",
    "occurred_at": 1_700_000_000_000,
    "received_at": 1_700_000_000_250,
    "identifiers": {"anonymous_id": "7d444840-9dc0-11d1-b245", "user_id": "4211"},
}
ADDED = VIEW | {
    "event": "Product Added",
    "cart_id": "cart-1",
    "items": [
        {"product_id": "p-1234", "name": "Shoe", "category": "a/b", "quantity": 1, "price_micros": 19_990_000}
    ],
    "currency": "EUR",
}
PAGE = VIEW | {
    "type": "page",
    "page_url": "https://shop.example/p/1234",
    "referrer": "https://search.example/",
    "user_agent": "Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36 (KHTML, like Gecko)",
    "properties": {"experiment": "b"},
}
SESSION_RECORD: dict[str, Any] = {
    "session_id": SESSION,
    "profile_id": PERSON,
    "revision": 3,
    "started_at": 1_700_000_000_000,
    "ended_at": 1_700_000_300_000,
    "touchpoints": 12,
    "channels": ["web", "app"],
    "orders": 1,
    "revenue_micros": 19_990_000,
    "is_final": False,
    "is_retracted": False,
    "retracted_into": None,
    "revenue": {"EUR": 19_990_000},
    "is_bounce": False,
    "is_engaged": True,
    "path": [],
    "is_path_cut": False,
    "events": {},
    "first_campaign": None,
    "last_campaign": None,
}
ENCODED_APART: dict[str, Any] = {
    "channels": texts_bytes(["web", "app"]),
    "revenue": counts_bytes([("EUR", 19_990_000)]),
    **dict.fromkeys(("path", "events", "first_campaign", "last_campaign"), b"\0"),
}


class Path(NamedTuple):
    """One way through the codec; `against` is the row it is compared with, "" for a yardstick."""

    name: str
    against: str
    run: Callable[[], object]


def _whole(value: bytes, schema: Any) -> Callable[[], object]:
    body = value[5:]
    return lambda: fastavro.schemaless_reader(io.BytesIO(body), schema, None)


def _written(record: Any, schema: Any) -> Callable[[], object]:
    def write() -> bytes:
        out = io.BytesIO()
        fastavro.schemaless_writer(out, schema, record)
        return out.getvalue()

    return write


def reading() -> list[Path]:
    """Reading a touchpoint: one of 157 bytes, one with a product, one with own fields."""
    schema = fastavro.parse_schema(without_logical_types(Catalog.embedded().schema(100)))
    view, added, page = (codec.encode_touchpoint(record) for record in (VIEW, ADDED, PAGE))
    *head, view_end = codec.read_head(view)
    raw = head[6]
    added_end, page_end = codec.read_head(added)[-1], codec.read_head(page)[-1]
    own = codec.read_commerce(added, added_end).end
    assert isinstance(raw, bytes)
    whole = "fastavro, whole record"
    return [
        Path(whole, "", _whole(view, schema)),
        Path("read_head", whole, lambda: codec.read_head(view)),
        Path("read_identifiers (2)", whole, lambda: codec.read_identifiers(raw)),
        Path("check_rest, bare", whole, lambda: codec.check_rest(view, view_end, "web")),
        Path("check_rest, own fields", whole, lambda: codec.check_rest(page, page_end, "web")),
        Path("fastavro, whole, 1 item", "", _whole(added, schema)),
        Path(
            "read_commerce, 1 item", "fastavro, whole, 1 item", lambda: codec.read_commerce(added, added_end)
        ),
        Path("check_own after it", "fastavro, whole, 1 item", lambda: codec.check_own(added, own, "web")),
    ]


def stitching() -> list[Path]:
    """Appending to a touchpoint, beside encoding the longer record anew."""
    catalog = Catalog.embedded()
    schema = fastavro.parse_schema(without_logical_types(catalog.schema(200)))
    added = {"profile_id": PERSON, "session_id": SESSION, "stitched_at": 1_700_000_000_500, "is_late": False}
    view = codec.encode_touchpoint(VIEW)
    owner = codec.owner_bytes(PERSON, SESSION)
    whole = "fastavro, encode stitched"
    return [
        Path(whole, "", _written(VIEW | added, schema)),
        Path("stitch", whole, lambda: codec.stitch(view, 220, owner, 1_700_000_000_500, False, "user_id:1")),
        Path("owner_bytes", whole, lambda: codec.owner_bytes(PERSON, SESSION)),
    ]


def writing() -> list[Path]:
    """Writing touchpoints and sessions."""
    catalog = Catalog.embedded()
    web, sessions = (
        fastavro.parse_schema(without_logical_types(catalog.schema(schema_id))) for schema_id in (100, 306)
    )
    return [
        Path("fastavro, encode touchpoint", "", _written(VIEW, web)),
        Path("encode_touchpoint", "fastavro, encode touchpoint", lambda: codec.encode_touchpoint(VIEW)),
        Path("fastavro, encode, 1 item", "", _written(ADDED, web)),
        Path("encode_touchpoint, 1 item", "fastavro, encode, 1 item", lambda: codec.encode_touchpoint(ADDED)),
        Path("fastavro, encode, own fields", "", _written(PAGE, web)),
        Path(
            "encode_touchpoint, own fields",
            "fastavro, encode, own fields",
            lambda: codec.encode_touchpoint(PAGE),
        ),
        Path("fastavro, encode session", "", _written(SESSION_RECORD, sessions)),
        Path(
            "encode_session",
            "fastavro, encode session",
            lambda: encode_session(**{**SESSION_RECORD, **ENCODED_APART}),
        ),
    ]


def measure(paths: list[Path], *, rounds: int) -> dict[str, float]:
    """µs of CPU a record and path, the least of the rounds; rounds go through all paths in turn."""
    least = dict.fromkeys((path.name for path in paths), float("inf"))
    for _ in range(rounds):
        for path in paths:
            least[path.name] = min(least[path.name], _one_round(path.run))
    return least


def _one_round(run: Callable[[], object]) -> float:
    start_ns = time.process_time_ns()
    for _ in range(ROUND_RECORDS):
        run()
    return (time.process_time_ns() - start_ns) / 1_000 / ROUND_RECORDS


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=30)
    rounds: int = parser.parse_args().rounds
    today = datetime.datetime.now(tz=datetime.UTC).date()
    print(
        f"{today} · Python {platform.python_version()} · fastavro {fastavro.__version__} · {platform.machine()}"
    )
    print(f"{'':30} {'µs':>6}   x of fastavro")
    for paths in (reading(), stitching(), writing()):
        cost_us = measure(paths, rounds=rounds)
        for path in paths:
            ratio = f"{cost_us[path.name] / cost_us[path.against]:15.2f}" if path.against else ""
            print(f"{path.name:30} {cost_us[path.name]:6.2f}{ratio}".rstrip())
        print()


if __name__ == "__main__":
    main()
