"""Where everybody who has moved is today, kept in `resolved_identifiers`: after records of identities have landed, for
those whom they are about.

An identifier is where its last record says, or where the root is that it names there, two steps at most; so a record
is about its identifier, about who names that as their root, and about who names those. Must not know how records get
into tables.

Right in any order of writers: a row's version is made of the places of the records it was made from, and places only
rise. What one sink computes without having seen another's record, that other computes afterwards with both.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Iterable, Mapping
from concurrent.futures import Future, ThreadPoolExecutor
from typing import TYPE_CHECKING, Final

from sinks.clickhouse.chunk import Span
from sinks.clickhouse.writer import Rejected, Unavailable, Warehouse, connect, meaning_of

if TYPE_CHECKING:
    from clickhouse_connect.driver.client import Client

__all__ = ["TOPIC", "Resolver", "resolve", "resolve_first"]

log = logging.getLogger(__name__)

TOPIC: Final = "identities"
_SHARE: Final = 0.25
"""Of the time, so much goes into resolving at most, unless a turn takes long; what waits is soon resolved together."""
_PAUSE_S: Final = 2.0
"""At most, so that a merge is seen in all history within 5 s of being decided: landing and resolving take time too."""
_BACKOFF_S: Final = 5.0
_MANY: Final = 4
"""Of so many places, one that is new makes it cheaper to look at all than to look for whom it is about."""

_NEW: Final = """intDiv(place, 65536)
    >= transform(place % 65536, {partitions:Array(UInt64)}, {offsets:Array(UInt64)}, toUInt64(0))"""
_COUNTED: Final = f"SELECT countIf({_NEW}), count() FROM identity_places"
_RESOLVED: Final = f"""
INSERT INTO resolved_identifiers
WITH
    told AS (SELECT identifier_hash FROM identity_places WHERE {_NEW}),
    near AS
    (
        SELECT identifier_hash FROM told
        UNION ALL
        SELECT identifier_hash FROM identity_places WHERE root_hash IN told
    ),
    theirs AS
    (
        SELECT *
        FROM identity_places
        WHERE {{is_all:Bool}}
            OR identifier_hash IN near
            OR identifier_hash IN (SELECT identifier_hash FROM identity_places WHERE root_hash IN near)
    ),
    followed AS
    (
        SELECT
            identifier_hash,
            max(place) AS last_place,
            argMax(record.root_hash, place) AS root_hash,
            argMax(record.root, place) AS root,
            argMax(record.profile_hash, place) AS profile_hash,
            argMax(record.profile_id, place) AS profile_id
        FROM identity_places AS record
        WHERE is_move AND identifier_hash IN (SELECT root_hash FROM theirs)
        GROUP BY identifier_hash
    )
SELECT
    one.identifier_hash AS identifier_hash,
    one.own_hash AS own_hash,
    one.own_profile_id AS own_profile_id,
    if(followed.profile_hash != 0, followed.root, one.root) AS root,
    multiIf(
        home.profile_hash != 0, home.profile_id,
        followed.profile_hash != 0, followed.profile_id,
        one.profile_id
    ) AS profile_id,
    multiIf(
        home.profile_hash != 0, home.profile_hash,
        followed.profile_hash != 0, followed.profile_hash,
        one.profile_hash
    ) AS profile_hash,
    bitShiftLeft(toUInt256(one.last_place), 128)
        + bitShiftLeft(toUInt256(followed.last_place), 64)
        + home.last_place AS version
FROM
(
    SELECT
        identifier_hash,
        max(place) AS last_place,
        argMax(record.own_hash, place) AS own_hash,
        argMax(record.own_profile_id, place) AS own_profile_id,
        argMax(record.root_hash, place) AS root_hash,
        argMax(record.root, place) AS root,
        argMax(record.profile_hash, place) AS profile_hash,
        argMax(record.profile_id, place) AS profile_id
    FROM theirs AS record
    WHERE is_move OR record.root_hash IN (SELECT identifier_hash FROM followed)
    GROUP BY identifier_hash
) AS one
LEFT ANY JOIN followed ON followed.identifier_hash = one.root_hash
LEFT ANY JOIN
(
    SELECT
        identifier_hash,
        max(place) AS last_place,
        argMax(record.profile_hash, place) AS profile_hash,
        argMax(record.profile_id, place) AS profile_id
    FROM identity_places AS record
    WHERE is_move AND identifier_hash IN (SELECT root_hash FROM followed)
    GROUP BY identifier_hash
) AS home ON home.identifier_hash = followed.root_hash
"""


def resolve(client: Client, ends: Mapping[int, int]) -> None:
    """Make it as today's, as far as records have landed.

    `ends` says of partitions that all records before that offset have landed, completely: they are not looked at again.
    Raises what the client raises.
    """
    asked = "SELECT _partition, max(next_offset) FROM resolved_offsets GROUP BY 1"
    resolved = {int(row[0]): int(row[1]) for row in client.query(asked).result_rows}
    since = {"partitions": list(resolved), "offsets": list(resolved.values())}
    new, places = client.query(_COUNTED, parameters=since).result_rows[0]
    if new:
        client.command(_RESOLVED, parameters={**since, "is_all": new * _MANY > places})
    if rows := [each for each in ends.items() if each[1] > resolved.get(each[0], 0)]:
        client.insert("resolved_offsets", rows, column_names=["_partition", "next_offset"])


def resolve_first(client: Client) -> None:
    """Where nobody is known to have moved: rows may be of before there was such a table, and no sink knows it yet."""
    if client.query("SELECT count() = 0 FROM resolved_identifiers").result_rows == [(1,)]:
        resolve(client, {})


class Resolver:
    """Resolves after what lands, beside whoever lands it; where that would be too often, later."""

    def __init__(self, warehouse: Warehouse, clock: Callable[[], float] = time.monotonic) -> None:
        self._warehouse = warehouse
        self._clock = clock
        self._client: Client | None = None
        self._thread = ThreadPoolExecutor(1, "resolver")
        self._running: Future[None] | None = None
        self._began_s = 0.0
        self._ends: dict[int, int] = {}
        self._is_due = True
        """At first too: whoever was here before may have had no time for it."""
        self._not_before_s = 0.0
        self._is_failing = False

    @property
    def is_done(self) -> bool:
        """Whether everybody whom something has landed about is where they are."""
        return not self._is_due and self._running is None

    def landed(self, spans: Iterable[Span]) -> None:
        """These ranges are in their tables."""
        for span in spans:
            if span.topic == TOPIC:
                self._ends[span.partition] = span.end
                self._is_due = True
        self.rest()

    def rest(self) -> None:
        """Looks what has been done, and begins what is due."""
        if self._running is not None and self._running.done():
            self._end(self._running)
        if self._running is None and self._is_due and self._clock() >= self._not_before_s:
            self._begin()

    def finish(self) -> None:
        """Waits for what is being done, resolves what is left, and lets go of the connection."""
        if self._running is not None:
            self._end(self._running)
        if self._is_due and not self._is_failing:
            self._end(self._begin())
        self._thread.shutdown()
        self._disconnect()

    def _begin(self) -> Future[None]:
        self._began_s, self._is_due = self._clock(), False
        self._running = self._thread.submit(self._resolve, dict(self._ends))
        return self._running

    def _end(self, running: Future[None]) -> None:
        """Whatever went wrong: records land meanwhile, and what is not resolved now is resolved with the next."""
        from clickhouse_connect.driver.exceptions import Error

        try:
            running.result()
        except (Error, OSError, Rejected, Unavailable) as error:
            self._disconnect()
            if not self._is_failing:
                log.warning("who has moved is not shown where they are, trying again: %s", _said(error))
            self._is_due, self._is_failing, pause_s = True, True, _BACKOFF_S
        else:
            if self._is_failing:
                log.warning("who has moved is shown where they are again")
            self._is_failing = False
            pause_s = min((self._clock() - self._began_s) * (1 / _SHARE - 1), _PAUSE_S)
        self._running, self._not_before_s = None, self._clock() + pause_s

    def _resolve(self, ends: Mapping[int, int]) -> None:
        if self._client is None:
            self._client = connect(self._warehouse)
        resolve(self._client, ends)

    def _disconnect(self) -> None:
        if self._client is not None:
            self._client.close()
        self._client = None


def _said(error: Exception) -> Exception:
    return error if isinstance(error, (Rejected, Unavailable)) else meaning_of(error)
