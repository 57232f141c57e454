"""When which actor next has something to do. Owns the order of timers; must not know what they are for.

Most timers are far off and move at every touchpoint: their keys are state of the task like any other, in lists, some a
span of 65 s, so that they take no memory where the state takes none, and are there after a restart. Before its span
begins, an entry is put right: what is due within the span lies in a heap of (due ms, key). The lists are looked through
bit by bit while the span before lasts, so that no batch has them all to do. A list goes with its span.
Keys: NUL + "t", the span's number and the list's within it. Values: actors' keys, parted by NUL.
"""

from heapq import heappop, heappush
from struct import Struct
from typing import Any, Final

from streams.core.actor import Actor
from streams.core.actors import Change, Store

SPAN_MS: Final = 65_536
LIST_BYTES: Final = 512
"""A list that is longer is not added to: with an entry, it is written anew."""
PREFIX: Final = b"\0t"
_place: Final = Struct(">qI")
_pack: Final[Any] = _place.pack
_unpack: Final[Any] = _place.unpack_from


class Timers:
    """At least one entry at or before each actor's next timer.

    An actor in memory knows which entry is its own; another that is left over is dropped when it comes up.
    """

    __slots__ = (
        "_added", "_ahead", "_ahead_lists", "_ahead_read", "_begun", "_ended", "_lists", "_near", "_spans", "_store",
    )  # fmt: skip

    def __init__(self, store: Store) -> None:
        self._store = store
        self._near: list[tuple[int, bytes]] = []
        self._lists: dict[int, int] = {}
        """Span -> how many lists it has."""
        self._spans: list[int] = []
        """Those that have not begun, a heap."""
        self._begun: list[int] = []
        self._ahead = -1
        """The span that comes next, once some of its lists were due to be looked through."""
        self._ahead_lists = 0
        """How many it had then; what it gets since lies in the heap as well."""
        self._ahead_read = 0
        self._ended: list[int] = []
        """Those whose lists go with this batch."""
        self._added: dict[int, list[bytes]] = {}
        """Span -> entries of this batch."""
        for key in store.keys_with(PREFIX):
            span, number = _unpack(key, len(PREFIX))
            self._lists[span] = max(self._lists.get(span, 0), number + 1)
        self._spans = sorted(self._lists)

    def set(self, actor: Actor, due_ms: int, clock_ms: int) -> None:
        """The actor next has something to do then, or later; the timer clock reads `clock_ms`."""
        held_ms = actor.timer_ms
        if held_ms is None or due_ms < held_ms:
            actor.timer_ms = self._add(actor.key, due_ms, clock_ms)

    def due(self, clock_ms: int) -> list[tuple[str, int]]:
        """What may be due, removed: identifiers and entries' times; the caller sets those anew that are not done.

        In the order of identifiers: entries lie at other times after a restart, and the same state does the same.
        """
        assert not self._added, "timers were set, but what they changed was not asked for"
        found: list[tuple[str, int]] = []
        while self._spans and self._spans[0] * SPAN_MS <= clock_ms:
            span = heappop(self._spans)
            self._begun.append(span)
            is_ahead = span == self._ahead
            stop = self._ahead_lists if is_ahead else self._lists[span]
            self._read(span, self._ahead_read if is_ahead else 0, stop, found)
        self._read_ahead(clock_ms, found)
        while self._near and self._near[0][0] <= clock_ms:
            due_ms, key = heappop(self._near)
            found.append((key.decode(), due_ms))
        if self._begun:
            self._ended = [span for span in self._begun if (span + 1) * SPAN_MS <= clock_ms]
            self._begun = [span for span in self._begun if (span + 1) * SPAN_MS > clock_ms]
        found.sort()
        return found

    def _read_ahead(self, clock_ms: int, found: list[tuple[str, int]]) -> None:
        """As much of the next span's lists as of the span before has gone by."""
        span = self._spans[0] if self._spans else -1
        gone_ms = clock_ms - (span - 1) * SPAN_MS
        if span < 0 or gone_ms < 0:
            return
        if span != self._ahead:
            self._ahead, self._ahead_lists, self._ahead_read = span, self._lists[span], 0
        stop = self._ahead_lists * gone_ms // SPAN_MS
        self._read(span, self._ahead_read, stop, found)
        self._ahead_read = stop

    def _read(self, span: int, first: int, stop: int, found: list[tuple[str, int]]) -> None:
        for number in range(first, stop):
            held = self._store.get(_key(span, number))
            assert held is not None, "a list of timers is missing"
            found += [(key, span * SPAN_MS) for key in held.decode().split("\0")]

    def changes(self) -> list[Change]:
        """What the batch has changed; it is then done."""
        changes: list[Change] = []
        for span in self._ended:
            changes += [(_key(span, number), None) for number in range(self._lists.pop(span))]
        self._ended = []
        for span, keys in self._added.items():
            self._extend(span, keys, changes)
        self._added.clear()
        return changes

    def _extend(self, span: int, keys: list[bytes], changes: list[Change]) -> None:
        """More entries for a span: into its last list, then into new ones."""
        number = self._lists[span] - 1
        name = b""
        held: list[bytes] = []
        size = LIST_BYTES
        if number >= 0:
            name = _key(span, number)
            last = self._store.get(name)
            assert last is not None, "a list of timers is missing"
            held, size = [last], len(last)
        changed = False
        for key in keys:
            if size >= LIST_BYTES:
                if changed:
                    changes.append((name, b"\0".join(held)))
                number += 1
                name = _key(span, number)
                held, size = [], 0
            held.append(key)
            size += len(key) + 1
            changed = True
        changes.append((name, b"\0".join(held)))
        self._lists[span] = number + 1

    def _add(self, key: bytes, due_ms: int, clock_ms: int) -> int:
        """Returns the entry's time."""
        span = due_ms // SPAN_MS
        current = clock_ms // SPAN_MS
        is_near = span <= current or span == self._ahead
        if is_near and span < current:
            # Overdue: it comes up next, and its list must not have ended.
            span = current
            due_ms = current * SPAN_MS
        if span not in self._lists:
            self._lists[span] = 0
            if is_near:
                self._begun.append(span)
            else:
                heappush(self._spans, span)
        added = self._added.get(span)
        if added is None:
            self._added[span] = [key]
        else:
            added.append(key)
        if is_near:
            heappush(self._near, (due_ms, key))
            return due_ms
        return span * SPAN_MS


def _key(span: int, number: int) -> bytes:
    place: bytes = _pack(span, number)
    return PREFIX + place
