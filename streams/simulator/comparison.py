"""The result of holding a warehouse against the truth: every difference counted, the first ones kept as examples.

Must not know how a difference is found.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any

_EXAMPLES = 5


class Difference(StrEnum):
    """Every way in which a warehouse can differ from the truth."""

    MISSING_TOUCHPOINT = "missing touchpoint"
    DUPLICATE_TOUCHPOINT = "duplicate touchpoint"
    UNKNOWN_TOUCHPOINT = "unknown touchpoint"
    WRONG_PROFILE = "touchpoint of another person"
    WRONG_SESSION = "touchpoint of another session"
    MISSING_PROFILE = "missing profile"
    DUPLICATE_PROFILE = "duplicate profile"
    UNKNOWN_PROFILE = "profile of nobody"
    WRONG_IDENTIFIERS = "profile with other identifiers"
    MISSING_SESSION = "missing session"
    DUPLICATE_SESSION = "duplicate session"
    UNKNOWN_SESSION = "session without touchpoints"
    WRONG_SESSION_CONTENT = "session with other content"
    OPEN_SESSION = "session not final"
    FALSE_ACTION = "false action"
    MISSED_ACTION = "missed action"
    DUPLICATE_ACTION = "duplicate action"
    WRONG_ACTION = "action with other content"


_DUPLICATES = frozenset(
    {
        Difference.DUPLICATE_TOUCHPOINT,
        Difference.DUPLICATE_PROFILE,
        Difference.DUPLICATE_SESSION,
        Difference.DUPLICATE_ACTION,
    }
)
_HEADLINES = _DUPLICATES | {
    Difference.MISSING_TOUCHPOINT,
    Difference.FALSE_ACTION,
    Difference.MISSED_ACTION,
}


@dataclass(slots=True)
class Comparison:
    """How often each difference was found, with the first examples of each."""

    touchpoints: int
    sessions: int
    actions: int
    found: Counter[Difference] = field(default_factory=Counter)
    examples: dict[Difference, list[str]] = field(default_factory=dict)

    @property
    def missing(self) -> int:
        """Touchpoints that did not land."""
        return self.found[Difference.MISSING_TOUCHPOINT]

    @property
    def duplicate(self) -> int:
        """Touchpoints, profiles, sessions and actions that are there more than once."""
        return sum(self.found[difference] for difference in _DUPLICATES)

    @property
    def wrong(self) -> int:
        """Whatever landed, but with another person, in another session, or with other content."""
        return sum(count for difference, count in self.found.items() if difference not in _HEADLINES)

    @property
    def false_actions(self) -> int:
        """Actions that stand although no cart was abandoned."""
        return self.found[Difference.FALSE_ACTION]

    @property
    def missed_actions(self) -> int:
        """Abandoned carts without an action."""
        return self.found[Difference.MISSED_ACTION]

    @property
    def is_equal(self) -> bool:
        """Nothing differs."""
        return self.found.total() == 0

    def note(self, difference: Difference, example: str) -> None:
        """Count one; the first few are kept as examples."""
        self.found[difference] += 1
        kept = self.examples.setdefault(difference, [])
        if len(kept) < _EXAMPLES:
            kept.append(example)

    def summary(self) -> str:
        """For people: the five numbers, then each kind of difference with examples."""
        lines = [
            f"{self.touchpoints:,} touchpoints, {self.sessions:,} sessions, {self.actions:,} actions compared: "
            f"missing {self.missing:,}, duplicate {self.duplicate:,}, wrong {self.wrong:,}, "
            f"false actions {self.false_actions:,}, missed actions {self.missed_actions:,}"
        ]
        for difference, count in sorted(self.found.items()):
            lines.append(f"  {count:,} × {difference}")
            lines.extend(f"    {example}" for example in self.examples[difference])
        return "\n".join(lines)

    def to_json(self) -> dict[str, Any]:
        """For programs; keys of `found` are the differences in words."""
        return {
            "equal": self.is_equal,
            "compared": {
                "touchpoints": self.touchpoints,
                "sessions": self.sessions,
                "actions": self.actions,
            },
            "missing": self.missing,
            "duplicate": self.duplicate,
            "wrong": self.wrong,
            "false_actions": self.false_actions,
            "missed_actions": self.missed_actions,
            "found": {str(difference): count for difference, count in sorted(self.found.items())},
            "examples": {str(difference): texts for difference, texts in sorted(self.examples.items())},
        }
