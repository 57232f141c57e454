"""What a batch has changed of profiles, to be told once, as it stands at the end. Owns these places; knows no rule."""

from dataclasses import dataclass, field

from streams.core.actor import Actor
from streams.core.carts import Episode
from streams.core.courses import Course
from streams.core.sessions import Session
from streams.core.shapes import Action

Place = tuple[int, int]
"""Of a touchpoint among those of its profile: when it occurred and its digest. An episode has that of its first one."""


@dataclass(slots=True)
class Changed:
    """What a batch has changed, by id or place: (owner, state).

    Of what is retracted also the id it went into, and the owner's revision then: somebody else may have it next.
    `courses` has those of sessions that are final: what is remembered of these may be gone by the end.
    """

    sessions: dict[str, tuple[Actor, Session]] = field(default_factory=dict)
    gone_sessions: dict[str, tuple[Actor, Session, str | None, int]] = field(default_factory=dict)
    courses: dict[str, Course] = field(default_factory=dict)
    carts: dict[Place, tuple[Actor, Episode]] = field(default_factory=dict)
    gone_carts: dict[Place, tuple[Actor, Episode, str | None, int]] = field(default_factory=dict)
    actions: dict[str, tuple[Actor, Action]] = field(default_factory=dict)
