"""What the usual tool would have mailed about abandoned carts: it knows one channel, and goes by its own clock.

Owns that rule and which of its mails were needless; must not know the pipeline, which is never compared with it. Times
are epoch milliseconds.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from streams.simulator.recorder import Entry
from streams.simulator.truth import CHANGES, Cart, Profile, Rules, occurred_ms


@dataclass(frozen=True, slots=True)
class Mails:
    """How many went out; needless are those about a cart that had been bought or emptied by then, somewhere."""

    sent: int = 0
    needless: int = 0


@dataclass(frozen=True, slots=True)
class _Mail:
    """Sent at `sent_ms` about the cart that the message `about` has changed last."""

    sent_ms: int
    about: str


@dataclass(slots=True)
class _Watched:
    """A cart as one channel knows it: who shows another key, or buys in another channel, is somebody else."""

    cart: Cart
    heard_ms: int = 0
    about: str = ""
    is_mailed: bool = False


def mails_of(entries: Sequence[Entry], profiles: Iterable[Profile], rules: Rules) -> Mails:
    """What some people get, whose records are given in the order of their arrival, and who they are.

    A cart in a channel and under a key is mailed about once, when so long nothing has arrived from there as makes a
    cart abandoned.
    """
    sent = _sent(entries, rules.abandon_after_ms)
    if not sent:
        return Mails()
    ended_ms = _ends(entries, profiles)
    return Mails(len(sent), sum(ended_ms.get(mail.about, 0) <= mail.sent_ms for mail in sent))


def _sent(entries: Sequence[Entry], after_ms: int) -> list[_Mail]:
    watched: dict[tuple[str, bytes], _Watched] = {}
    sent: list[_Mail] = []
    for entry in entries:
        touchpoint = entry.touchpoint
        change = CHANGES.get(touchpoint.event)
        known = watched.get((touchpoint.channel, entry.key))
        if entry.is_copy or (known is None and change is None):
            continue
        if known is None:
            known = watched[touchpoint.channel, entry.key] = _Watched({})
        _mail(known, sent, until_ms=entry.arrival_ms, after_ms=after_ms)
        known.heard_ms = entry.arrival_ms
        if change is not None:
            known.cart, known.about = change(known.cart, touchpoint), touchpoint.message_id
            known.is_mailed = known.is_mailed and bool(known.cart)
    for known in watched.values():
        _mail(known, sent, until_ms=None, after_ms=after_ms)
    return sent


def _mail(known: _Watched, sent: list[_Mail], *, until_ms: int | None, after_ms: int) -> None:
    """About a cart that was left before then, if nobody has been mailed about it yet."""
    due_ms = known.heard_ms + after_ms
    if known.cart and not known.is_mailed and (until_ms is None or due_ms < until_ms):
        sent.append(_Mail(due_ms, known.about))
        known.is_mailed = True


def _ends(entries: Iterable[Entry], profiles: Iterable[Profile]) -> dict[str, float]:
    """When the cart of a message was empty again, by the truth, for ever if it is not; what is in none is left out."""
    at_ms = {entry.touchpoint.message_id: occurred_ms(entry.touchpoint) for entry in entries}
    ends: dict[str, float] = {}
    for profile in profiles:
        for episode in profile.episodes:
            ended_ms = float("inf") if episode.status == "open" else at_ms[episode.touchpoints[-1]]
            ends.update(dict.fromkeys(episode.touchpoints, ended_ms))
    return ends
