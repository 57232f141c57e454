"""Touchpoints as stitched records: whose each one is and of which session, said once that is known.

Where a batch brings touchpoints that change more than the end of a profile, sessions are worked out once, when the
batch is through: until then a place is kept for the records that wait for it. Owns these places; must not know what
decides about sessions.
"""

from collections.abc import Mapping

from schemas.codec import owner_bytes, stitch
from streams.core.actor import Actor
from streams.core.arrivals import Arrival
from streams.core.outputs import Output
from streams.core.sessions import Session, session_id_of


class Stitching:
    """The records of `touchpoints.stitched` of one batch; `schema_ids` are the stitched schemas' by channel code."""

    __slots__ = ("_schema_ids", "_waiting", "records")

    def __init__(self, schema_ids: Mapping[int, int]) -> None:
        self._schema_ids = schema_ids
        self._waiting: dict[str, list[tuple[int, Arrival]]] = {}
        self.records: list[Output] = []

    def begin(self) -> None:
        """Forget the batch before."""
        self._waiting = {}
        self.records = []

    def say(self, actor: Actor, session: Session | None, arrival: Arrival) -> None:
        """A touchpoint of an actor's profile and session, or of none because it is late."""
        self.records.append((actor.key, self._stitched(actor, session, arrival)))

    def wait(self, actor: Actor, arrival: Arrival, *, is_said: bool) -> None:
        """Keep a place for a touchpoint until its profile is settled; where it is said, only that it caused this."""
        place = -1
        if not is_said:
            place = len(self.records)
            self.records.append((actor.key, b""))
        self._waiting.setdefault(actor.identifier, []).append((place, arrival))

    def settle(self, actor: Actor) -> None:
        """Say what waited for the sessions of an actor, which are settled now."""
        assert actor.profile is not None, "an alias has no sessions"
        for place, arrival in self._waiting.get(actor.identifier, ()):
            if place >= 0:
                at_ms = arrival.touchpoint.occurred_ms
                within = [s for s in actor.profile.sessions if s.started_ms <= at_ms <= s.ended_ms]
                # Of a past that is forgotten, if ticks have come before what they stand for, it has none.
                session = within[0] if within else None
                self.records[place] = (actor.key, self._stitched(actor, session, arrival))
        self._waiting.pop(actor.identifier, None)

    def culprit(self, actor: Actor) -> Arrival:
        """The last touchpoint that waited: what to take out if an actor cannot be settled."""
        return self._waiting[actor.identifier][-1][1]

    def _stitched(self, actor: Actor, session: Session | None, arrival: Arrival) -> bytes:
        touchpoint = arrival.touchpoint
        if session is None:
            owner = owner_bytes(actor.profile_id, None)
        elif session.owner:
            owner = session.owner
        else:
            owner = session.owner = owner_bytes(actor.profile_id, session_id_of(session))
        return stitch(
            touchpoint.value,
            self._schema_ids[touchpoint.channel],
            owner,
            touchpoint.arrival_ms,
            touchpoint.is_late,
            touchpoint.identifiers[arrival.skipped],
        )
