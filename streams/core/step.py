"""One task's work on one batch: records in, effects out, nothing else.

Owns the order of things within a batch and what a record that cannot be processed costs (itself, whole, and nothing
more); must not know Kafka, Faust or the wall clock. The same state and input give the same bytes.
"""

from collections.abc import Generator, Mapping, Sequence
from typing import Final, cast

from schemas.catalog import CHANNELS, Catalog
from schemas.codec import CodecError, Reason
from streams.core.actor import Actor, Profile
from streams.core.actors import Actors, Store
from streams.core.acts import pass_on
from streams.core.arrivals import Arrival, Arrivals, Forwarded
from streams.core.clock import CLOCKS_KEY, Clocks
from streams.core.control import CONTROL, Control
from streams.core.due import Due
from streams.core.effects import Dead, Effects
from streams.core.identifier import Identifiers
from streams.core.identity import Identity
from streams.core.messages import Cause, Clock, Decree, Heed, Message, Reopen, Touch, decode
from streams.core.numbering import NUMBERS_KEY, Numbering
from streams.core.outbox import Outbox
from streams.core.outputs import Output, action_records, cart_records, identity_records, session_records
from streams.core.profile import Profiles
from streams.core.rules import Rules
from streams.core.stitching import Stitching
from streams.core.timers import Timers
from streams.core.touchpoint import Reader, Record, Touchpoint, stitched_ids, tick_ms

INBOX: Final = "profiles.inbox"
CHANGELOG: Final = "profiles.changelog"
STITCHED: Final = "touchpoints.stitched"
SESSIONS: Final = "sessions"
CARTS: Final = "carts"
IDENTITIES: Final = "identities"
ACTIONS: Final = "actions"
DEAD: Final = "records.dead"
INPUTS: Final = (*[f"touchpoints.{channel}" for channel in CHANNELS], CONTROL)
_SLICE: Final = 64
"""So many records, or actors, are worked on before others get a turn: one to two ms."""


class Step:
    """The state of one task. It may go on to another batch once the effects of the one before are committed."""

    def __init__(
        self,
        partition: int,
        partitions: int,
        rules: Rules,
        store: Store,
        *,
        catalog: Catalog | None = None,
        identifiers: Identifiers | None = None,
    ) -> None:
        """`identifiers` may be shared by the tasks of a process, under the same rules and partition count."""
        catalog = catalog or Catalog.embedded()
        identifiers = identifiers or Identifiers(rules, partitions)
        self._partition = partition
        self._partitions = partitions
        self._rules = rules
        self._store = store
        self._identifiers = identifiers
        self._reader = Reader(catalog, self._identifiers, rules)
        self._control = Control(catalog, rules, identifiers.normaliser)
        self._stitching = Stitching(stitched_ids(catalog))
        self._outbox = Outbox(partition, self._identifiers, self._kept_numbering())
        self._actors = Actors(store)
        self._profiles = Profiles(rules)
        self._identity = Identity(
            self._actors,
            self._identifiers,
            self._profiles,
            rules,
            send=self._outbox.send,
            send_later=self._outbox.send_later,
            settle=self._settle,
        )
        self._clocks = Clocks(INPUTS, partitions, store.get(CLOCKS_KEY))
        self._due = Due(self._actors, self._profiles, Timers(store))
        self._effects = Effects()
        self._arrivals = Arrivals()

    @property
    def has_news(self) -> bool:
        """True while an empty batch would tell the other tasks something."""
        return self._clocks.has_news

    @property
    def timer_clock_ms(self) -> int:
        """The timer clock, epoch ms of arrival time."""
        return self._clocks.timer_ms

    def process(
        self, batch: Mapping[str, Sequence[Record]], *, now_ms: int, caught_up: Mapping[str, int]
    ) -> Effects:
        """All of `work` at once."""
        work = self.work(batch, now_ms=now_ms, caught_up=caught_up)
        while True:
            try:
                next(work)
            except StopIteration as done:
                return cast(Effects, done.value)

    def work(
        self, batch: Mapping[str, Sequence[Record]], *, now_ms: int, caught_up: Mapping[str, int]
    ) -> Generator[None, None, Effects]:
        """Process records by topic, each topic's in offset order, in slices; the effects come when all are through.

        `now_ms` is the wall clock; `caught_up` says of input topics that were read to their end when the fetch that
        showed it was sent. Neither is used in replay mode. Raises AssertionError on a broken invariant.
        """
        self._actors.trim()
        poisoned: dict[tuple[str, int], Dead] = {}
        while True:
            culprit = yield from self._attempt(batch, poisoned, now_ms)
            if culprit is None:
                break
            poisoned[culprit.record.topic, culprit.record.offset] = culprit
            self._actors.undo()
            self._clocks = Clocks(INPUTS, self._partitions, self._store.get(CLOCKS_KEY))
            self._outbox.numbering = self._kept_numbering()
        if not self._rules.is_replay:
            for topic, caught_up_ms in caught_up.items():
                self._clocks.advance(topic, caught_up_ms - 1)
        yield
        return (yield from self._finish(now_ms))

    def _attempt(
        self, batch: Mapping[str, Sequence[Record]], poisoned: Mapping[tuple[str, int], Dead], now_ms: int
    ) -> Generator[None, None, Dead | None]:
        """Work through the records; the one that failed, if one did."""
        self._begin(now_ms)
        for topic, records in batch.items():
            culprit = yield from self._receive_all(topic, records, poisoned)
            if culprit is not None:
                return culprit
            if records and topic != INBOX and not self._rules.is_replay:
                # Others appended in the same millisecond may be unread.
                self._clocks.advance(topic, records[-1].timestamp - 1)
        for number, arrival in enumerate(self._arrivals.in_order()):
            if number % _SLICE == _SLICE - 1:
                yield
            try:
                self._route(arrival)
                if self._outbox.local:
                    self._deliver_local()
            except AssertionError:
                raise
            except Exception as error:
                return _failed(arrival.record, error)
        return (yield from self._settle_all())

    def _receive_all(
        self, topic: str, records: Sequence[Record], poisoned: Mapping[tuple[str, int], Dead]
    ) -> Generator[None, None, Dead | None]:
        """Read the records of a topic; the one that failed, if one did."""
        receive = self._receive_message if topic == INBOX else self._receive
        for number, record in enumerate(records):
            if number % _SLICE == _SLICE - 1:
                yield
            if topic == INBOX and not self._outbox.numbering.is_new(record.key):
                continue
            if poisoned and (topic, record.offset) in poisoned:
                self._bury(poisoned[topic, record.offset])
                continue
            try:
                receive(record)
            except AssertionError:
                raise
            except Exception as error:
                return _failed(record, error)
        return None

    def _begin(self, now_ms: int) -> None:
        """Nothing has happened in this batch yet but that clocks are told."""
        self._effects = Effects()
        self._stitching.begin()
        self._arrivals = Arrivals()
        self._outbox.begin(self._effects)
        self._identity.belongings.clear()
        self._profiles.begin(self._now(now_ms))
        self._tell_clocks()
        self._deliver_local()

    def _bury(self, dead: Dead) -> None:
        """A record that failed; one that another task forwarded goes as it first came in."""
        if dead.record.topic == INBOX and dead.record.value is not None:
            message = decode(dead.record.value)
            if isinstance(message, Touch):
                dead = Dead(Forwarded(message), dead.reason, dead.detail)
        self._effects.dead.append(dead)

    def _now(self, now_ms: int) -> int:
        """The moment on the arrival axis: in replay, no later than the ticks say."""
        return self._clocks.newest_ms if self._rules.is_replay else now_ms

    def _receive(self, record: Record) -> None:
        """A record of an input topic: a tick, an act or a touchpoint."""
        if record.value is None:
            clock_ms = tick_ms(record)
            if clock_ms is not None:
                if self._rules.is_replay:
                    self._clocks.advance(record.topic, clock_ms)
                return
        if record.topic == CONTROL:
            self._receive_act(record)
            return
        try:
            touchpoint = self._reader.read(record.value, record.timestamp)
        except CodecError as error:
            self._effects.dead.append(Dead(record, error.reason, error.detail))
            self._count_blocked()
            return
        self._count_blocked()
        if touchpoint.was_clamped:
            self._count("clamped")
        self._arrivals.add(Arrival(touchpoint.identifiers[0], touchpoint, record, None))

    def _receive_act(self, record: Record) -> None:
        """A record of the control topic."""
        try:
            act = self._control.read(record.value, record.timestamp)
        except CodecError as error:
            self._effects.dead.append(Dead(record, error.reason, error.detail))
            return
        self._count("acts")
        self._identity.acts.receive(act)
        self._deliver_local()

    def _receive_message(self, record: Record) -> None:
        """A record of the inbox."""
        assert record.value is not None, "a tombstone in the inbox"
        self._count("messages")
        message = decode(record.value)
        if isinstance(message, Touch):
            touchpoint = self._reader.read(message.value, message.timestamp)
            self._arrivals.add(Arrival(message.to, touchpoint, record, message))
        else:
            self._deliver(message)
            self._deliver_local()

    def _deliver_local(self) -> None:
        """What this task said to itself, and what that leads to."""
        local = self._outbox.local
        while local:
            self._deliver(local.popleft())

    def _deliver(self, message: Message) -> None:
        match message:
            case Clock():
                self._clocks.hear(message.sender, message.rounds)
            case Touch():
                raise AssertionError("a task forwards no touchpoint to itself")
            case Decree() | Heed() | Reopen():
                self._identity.acts.handle(message)
            case _:
                self._identity.handle(message)

    def _route(self, arrival: Arrival) -> None:
        """Bring a touchpoint to the root of its lowest identifier that identifies: here, or in another task."""
        identifier, touchpoint = arrival.to, arrival.touchpoint
        through, left = touchpoint.identifiers[arrival.skipped], ""
        while True:
            # Whoever has state here lives here; only of the others it must be worked out where.
            actor = self._actors.find(identifier)
            if actor is None:
                if self._identifiers.partition(identifier) != self._partition:
                    break
                actor = self._identity.actor(identifier, _cause(touchpoint, identifier))
            if (actor.mark or actor.acts) and identifier == through and pass_on(actor, arrival):
                identifier = through = touchpoint.identifiers[arrival.skipped]
                continue
            if actor.profile is None:
                identifier = actor.root
                continue
            if through in actor.index:
                self._take(actor, actor.profile, arrival)
                return
            # It has left while the touchpoint was on its way, and knows by now whose it is.
            assert actor.identifier != left, "an identifier points to a root that does not know it"
            left, identifier = actor.identifier, through
        self._count("forwarded")
        self._outbox.send(arrival.forwarded_to(identifier))

    def _take(self, actor: Actor, profile: Profile, arrival: Arrival) -> None:
        """The root's part: stitch, enter, emit; a duplicate only stitches."""
        touchpoint = arrival.touchpoint
        through = touchpoint.identifiers[arrival.skipped]
        if len(touchpoint.identifiers) > 1:
            self._identity.link(actor, profile, touchpoint, arrival.skipped)
            if actor.profile is None or through not in actor.index:
                # The link has shown that it is somebody else's.
                self._deliver_local()
                self._route(arrival)
                return
        if touchpoint.digest in actor.journal or touchpoint.digest in profile.late:
            self._count("duplicates")
            return
        self._actors.touch(actor)
        has_too_many = actor.has_too_many(self._rules)
        if touchpoint.is_late or has_too_many:
            if touchpoint.is_late:
                self._count("late")
            else:
                self._count("excess")
            self._profiles.pass_by(profile, touchpoint)
            self._stitching.say(actor, None, arrival)
            return
        session = self._profiles.take(actor, profile, touchpoint, actor.index[through])
        if session is not None:
            self._stitching.say(actor, session, arrival)
        if actor.is_unsettled:
            self._stitching.wait(actor, arrival, is_said=session is not None)

    def _settle(self, actor: Actor) -> None:
        """Work out what an actor's touchpoints of this batch have changed before their like came."""
        if actor.is_unsettled:
            self._profiles.settle(actor)
            self._stitching.settle(actor)

    def _settle_all(self) -> Generator[None, None, Dead | None]:
        """All actors; the touchpoint that cannot be, if there is one."""
        for number, actor in enumerate(self._profiles.unsettled):
            if number % _SLICE == _SLICE - 1:
                yield
            try:
                self._settle(actor)
            except AssertionError:
                raise
            except Exception as error:
                return _failed(self._stitching.culprit(actor).record, error)
        return None

    def _finish(self, now_ms: int) -> Generator[None, None, Effects]:
        """Timers, then what the batch has changed as records, then the state."""
        self._clocks.settle()
        effects, changed, clock_ms = self._effects, self._profiles.changed, self._clocks.timer_ms
        fired, held = yield from self._due.do(clock_ms, now_ms=self._now(now_ms))
        if fired:
            self._count("fired", fired)
        if held:
            self._count("held", len(held))
        for actor in self._actors.dirty():
            if actor.profile is not None and actor.identifier not in held:
                self._due.plan(actor, actor.profile, clock_ms)
        self._count("touchpoints", len(self._arrivals.arrived))
        self._emit(STITCHED, self._stitching.records)
        self._emit(SESSIONS, session_records(changed))
        self._emit(CARTS, cart_records(changed))
        self._emit(ACTIONS, action_records(changed, self._rules))
        self._emit(IDENTITIES, identity_records(self._identity.belongings, max(0, self._now(now_ms))))
        effects.changes = self._actors.changes()
        effects.changes += self._due.changes()
        if self._clocks.is_changed:
            effects.changes.append((CLOCKS_KEY, self._clocks.encode()))
        if self._outbox.numbering.is_changed:
            effects.changes.append((NUMBERS_KEY, self._outbox.numbering.encode()))
        return effects

    def _kept_numbering(self) -> Numbering:
        return Numbering(self._partition, self._partitions, self._store.get(NUMBERS_KEY))

    def _emit(self, topic: str, records: Sequence[Output]) -> None:
        if records:
            self._effects.outputs[topic] = records
            if topic == ACTIONS:
                self._count("actions", len(records))

    def _tell_clocks(self) -> None:
        rounds = self._clocks.tell()
        if rounds is not None:
            for partition in range(self._partitions):
                self._outbox.post(partition, Clock(self._partition, rounds))

    def _count_blocked(self) -> None:
        """What of the record just read identifies nobody; where it first came in, not where it is forwarded to."""
        for kind in self._reader.blocked:
            self._count("blocked", label=kind)

    def _count(self, name: str, by: int = 1, *, label: str = "") -> None:
        counted = f"{name}:{label}" if label else name
        self._effects.counts[counted] = self._effects.counts.get(counted, 0) + by


def _cause(touchpoint: Touchpoint, through: str) -> Cause:
    return Cause(touchpoint.message_id, touchpoint.occurred_ms, touchpoint.digest, through)


def _failed(record: Record, error: Exception) -> Dead:
    return Dead(record, Reason.FAILED, f"{type(error).__name__}: {error}"[:200])


__all__ = ["ACTIONS", "CHANGELOG", "DEAD", "INBOX", "INPUTS", "Dead", "Effects", "Forwarded", "Step"]
