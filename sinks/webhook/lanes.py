"""What an endpoint has still to be told, and in which order: a lane for each action, one request at a time in it.

A newer revision overtakes what waits in its lane, and waits itself for the request that is under way; so nothing due
ever follows its cancellation. Whether news has to go out at all is read from the ledger when their turn comes. Pure:
the driver (`courier`) brings events, answers and the time, and carries out what comes back.
"""

from __future__ import annotations

import heapq
from dataclasses import dataclass, field
from random import Random
from typing import Final

from sinks.webhook.answers import (
    Answer,
    Outcome,
    Reason,
    backoff_ms,
    is_transient,
    may_have_arrived,
    reason_of,
)
from sinks.webhook.endpoint import Endpoint
from sinks.webhook.event import CANCELLED, DUE, Event
from sinks.webhook.ledger import Known, Ledger, Standing

__all__ = ["Delivery", "Job", "Lanes"]

_CATCH_UP_MS: Final = 100
"""The driver comes by every few milliseconds only: so much of the rate may be made up for at once."""
_MOST_HOLD_MS: Final = 900_000
"""An endpoint that asks to be let alone (429) is asked again after so long, whatever it said."""


@dataclass(frozen=True, slots=True)
class Delivery:
    """What came of an event, or of one attempt at it: a record of `deliveries`, unless it was skipped."""

    event: Event
    outcome: Outcome
    reason: Reason
    attempt: int
    attempted_ms: int
    is_sent: bool
    idempotency_key: str
    latency_ms: int = 0
    response_status: int | None = None
    retry_ms: int | None = None

    @property
    def is_final(self) -> bool:
        """The event's place can be committed."""
        return self.outcome != Outcome.RETRYING


@dataclass(slots=True, eq=False)
class Job:
    """An event and how far it has come; given out, it is a request to make."""

    event: Event
    idempotency_key: str = ""
    attempt: int = 0
    started_ms: int = 0
    is_sent: bool = False


@dataclass(slots=True)
class _Lane:
    """What there is to tell of one action."""

    waiting: Job | None = None
    under_way: Job | None = None
    overtaken: list[Job] = field(default_factory=list)
    """Withdrawn, which is said in its turn: not before the outcome of what is under way."""

    def newest(self) -> int:
        """The highest revision in it."""
        return max(job.event.revision for job in (self.waiting, self.under_way) if job is not None)


@dataclass(slots=True)
class Lanes:
    """All lanes of one endpoint. Memory: `size` events, which the driver keeps below `endpoint.backlog`."""

    endpoint: Endpoint
    ledger: Ledger
    random: Random
    _lanes: dict[str, _Lane] = field(default_factory=dict)
    _ready: list[tuple[int, int, Job]] = field(default_factory=list)
    _pushed: int = 0
    _under_way: int = 0
    _next_start_ms: float = 0.0
    _held_until_ms: int = 0

    @property
    def size(self) -> int:
        """Events that are held."""
        waiting = sum((lane.waiting is not None) + len(lane.overtaken) for lane in self._lanes.values())
        return self._under_way + waiting

    def clear(self) -> None:
        """Forget everything: it is somebody else's now. Requests under way still come back through `finish`."""
        self._lanes.clear()
        self._ready.clear()

    def offer(self, event: Event, now_ms: int) -> list[Delivery]:
        """Take in an event that was read; what has an outcome by that."""
        if not self.endpoint.concerns(event):
            return [self._skipped(event, now_ms)]
        lane = self._lanes.get(event.action_id)
        if event.revision <= (lane.newest() if lane else self._newest_known(event.action_id)):
            return [self._skipped(event, now_ms)]
        if lane is None:
            lane = self._lanes[event.action_id] = _Lane()
        if lane.waiting is not None:
            lane.overtaken.append(lane.waiting)
        lane.waiting = Job(event, is_sent=event.was_declared)
        return self._line_up(lane, now_ms) if lane.under_way is None else []

    def start(self, now_ms: int) -> Job | Delivery | None:
        """A request to make now, or an event that has expired; None: nothing yet."""
        while self._ready and self._ready[0][0] <= now_ms and self._may_start(now_ms):
            _, _, job = heapq.heappop(self._ready)
            lane = self._lanes.get(job.event.action_id)
            if lane is None or lane.waiting is not job:
                continue
            lane.waiting = None
            if job.event.until_ms <= now_ms:
                self._leave(job.event.action_id, lane)
                return self._noted(job, Outcome.GIVEN_UP, Reason.EXPIRED, now_ms)
            return self._started(lane, job, now_ms)
        return None

    def finish(self, job: Job, answer: Answer, now_ms: int) -> list[Delivery]:
        """Take in how a request ended; what has an outcome by that, in order."""
        self._under_way -= 1
        job.is_sent = job.is_sent or may_have_arrived(answer)
        if answer.status == 429:
            until_ms = now_ms + min(answer.retry_after_ms, _MOST_HOLD_MS)
            self._held_until_ms = max(self._held_until_ms, until_ms)
        lane = self._lanes.get(job.event.action_id)
        if lane is None or lane.under_way is not job:
            # Ours no more; that it was delivered is worth knowing for whoever has it now.
            delivered = reason_of(answer) == Reason.NONE
            return [self._judged(job, answer, now_ms, is_overtaken=True)] if delivered else []
        lane.under_way = None
        judged = self._judged(job, answer, now_ms, is_overtaken=lane.waiting is not None)
        if judged.retry_ms is not None:
            lane.waiting = job
            self._push(job, judged.retry_ms)
            return [judged]
        if lane.waiting is not None:
            return [judged, *self._line_up(lane, now_ms)]
        self._leave(job.event.action_id, lane)
        return [judged]

    def _may_start(self, now_ms: int) -> bool:
        return (
            self._under_way < self.endpoint.concurrency
            and now_ms >= self._next_start_ms
            and now_ms >= self._held_until_ms
        )

    def _started(self, lane: _Lane, job: Job, now_ms: int) -> Job:
        event = job.event
        lane.under_way = job
        self._under_way += 1
        job.attempt += 1
        job.started_ms = now_ms
        job.idempotency_key = self._key(event)
        if self.endpoint.rate_per_s > 0:
            since_ms = max(self._next_start_ms, now_ms - _CATCH_UP_MS)
            self._next_start_ms = since_ms + 1_000 / self.endpoint.rate_per_s
        return job

    def _line_up(self, lane: _Lane, now_ms: int) -> list[Delivery]:
        """The waiting event's turn has come: it is ready, or there is no need for it."""
        job = lane.waiting
        assert job is not None, "a lane whose turn comes has somebody waiting"
        withdrawn = [
            self._noted(each, Outcome.WITHDRAWN, Reason.SUPERSEDED, now_ms) for each in lane.overtaken
        ]
        lane.overtaken.clear()
        if self._is_needed(job.event):
            self._push(job, now_ms)
            return withdrawn
        lane.waiting = None
        self._leave(job.event.action_id, lane)
        return [*withdrawn, self._skipped(job.event, now_ms)]

    def _newest_known(self, action_id: str) -> int:
        """A revision up to it has its outcome, or is older than one that was tried."""
        known = self.ledger.get(action_id) or Known()
        return max(known.revision, known.seen - 1)

    def _is_needed(self, event: Event) -> bool:
        """Whether the receiver has to hear of it, by what it has, or may have."""
        known = self.ledger.get(event.action_id)
        standing = known.standing if known else None
        if event.status == DUE:
            return standing != Standing.DUE
        if event.status == CANCELLED and standing is None:
            # Forgotten, or sent before there were records of it: a cancellation too many does no harm.
            return True
        return standing in (Standing.PERHAPS, Standing.DUE) and self.endpoint.tells(event)

    def _judged(self, job: Job, answer: Answer, now_ms: int, *, is_overtaken: bool) -> Delivery:
        reason = reason_of(answer)
        if reason == Reason.NONE:
            return self._noted(job, Outcome.DELIVERED, reason, job.started_ms, answer=answer)
        if not is_transient(answer):
            return self._noted(job, Outcome.GIVEN_UP, reason, job.started_ms, answer=answer)
        if is_overtaken:
            return self._noted(job, Outcome.WITHDRAWN, Reason.SUPERSEDED, job.started_ms, answer=answer)
        first_s, most_s = self.endpoint.first_backoff_s, self.endpoint.most_backoff_s
        wait_ms = backoff_ms(job.attempt, first_s, most_s, random=self.random)
        retry_ms = now_ms + max(wait_ms, answer.retry_after_ms, 1)
        if retry_ms >= job.event.until_ms:
            return self._noted(job, Outcome.GIVEN_UP, Reason.EXPIRED, job.started_ms, answer=answer)
        return self._noted(job, Outcome.RETRYING, reason, job.started_ms, answer=answer, retry_ms=retry_ms)

    def _noted(
        self,
        job: Job,
        outcome: Outcome,
        reason: Reason,
        at_ms: int,
        *,
        answer: Answer | None = None,
        retry_ms: int | None = None,
    ) -> Delivery:
        event = job.event
        key = job.idempotency_key or self._key(event)
        self.ledger.note(event.action_id, event.revision, event.status, outcome=outcome, is_sent=job.is_sent)
        latency_ms, status = (answer.latency_ms, answer.status) if answer else (0, None)
        return Delivery(
            event, outcome, reason, job.attempt, at_ms, job.is_sent, key, latency_ms, status, retry_ms
        )

    def _skipped(self, event: Event, now_ms: int) -> Delivery:
        return Delivery(event, Outcome.SKIPPED, Reason.NONE, 0, now_ms, False, "")

    def _key(self, event: Event) -> str:
        return self.ledger.idempotency_key(event.action_id, event.revision, event.status)

    def _push(self, job: Job, ready_ms: int) -> None:
        self._pushed += 1
        heapq.heappush(self._ready, (ready_ms, self._pushed, job))

    def _leave(self, action_id: str, lane: _Lane) -> None:
        if lane.waiting is None and lane.under_way is None:
            del self._lanes[action_id]
