"""An endpoint: where actions are posted, which ones, how fast, and under which secrets. Plain values.

Secrets are never settings themselves: a reference says where each one is, in a variable or in a file.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from sinks.webhook.event import RECOVERED, Event
from sinks.webhook.signing import BadSecret, key_of

__all__ = ["Endpoint", "read_keys"]


@dataclass(frozen=True, slots=True)
class Endpoint:
    """One receiver. `triggers` and `channels`: empty means all; `keys`: each signs."""

    name: str
    url: str
    keys: tuple[bytes, ...] = field(repr=False)
    triggers: frozenset[str] = frozenset()
    channels: frozenset[str] = frozenset()
    wants_recovered: bool = False
    concurrency: int = 8
    rate_per_s: float = 50.0
    timeout_s: float = 10.0
    first_backoff_s: float = 1.0
    most_backoff_s: float = 300.0
    backlog: int = 1_000

    def concerns(self, event: Event) -> bool:
        """Whether it is to hear of such actions at all. Historical ones are for analysis only."""
        return (
            not event.is_historical
            and (not self.triggers or event.trigger in self.triggers)
            and (not self.channels or not self.channels.isdisjoint(event.channels))
        )

    def tells(self, event: Event) -> bool:
        """Whether this kind of news goes out; what does not may still withdraw what has not been sent."""
        return event.status != RECOVERED or self.wants_recovered


def read_keys(references: Iterable[str], environ: Mapping[str, str]) -> tuple[bytes, ...]:
    """The keys that `env:NAME` and `file:PATH` lead to. Raises BadSecret, which names the reference."""
    keys = []
    for reference in references:
        try:
            keys.append(key_of(_secret(reference, environ)))
        except BadSecret as error:
            raise BadSecret(f"{reference}: {error}") from None
    return tuple(keys)


def _secret(reference: str, environ: Mapping[str, str]) -> str:
    where, _, what = reference.partition(":")
    if where == "env":
        if what not in environ:
            raise BadSecret("there is no such variable")
        return environ[what]
    if where == "file":
        try:
            return Path(what).read_text(encoding="utf-8")
        except (OSError, UnicodeDecodeError) as error:
            raise BadSecret(f"cannot be read: {getattr(error, 'strerror', None) or error}") from None
    raise BadSecret("is neither env:NAME nor file:PATH")
