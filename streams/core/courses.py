"""The course of a session: what happened in it, in order, once nothing on time can change it any more.

Worked out from the journal and the campaigns when a session becomes final, and never kept. Must not know profiles,
clocks or records.
"""

from bisect import bisect_left
from collections.abc import Sequence
from typing import Final

from streams.core.journal import Row
from streams.core.sessions import Session
from streams.core.shapes import Campaign, CampaignEntry
from streams.core.vocabulary import Vocabulary

LONGEST_PATH: Final = 50


class Course:
    """`path` is `channel:event` of each touchpoint, of the first 50 if `is_cut`; `events` counts all of them by event.

    The campaigns are those of the first and the last touchpoint that has one.
    """

    __slots__ = ("events", "first_campaign", "is_cut", "last_campaign", "path")

    def __init__(
        self,
        path: list[str],
        is_cut: bool,
        events: dict[str, int],
        first_campaign: Campaign | None,
        last_campaign: Campaign | None,
    ) -> None:
        self.path = path
        self.is_cut = is_cut
        self.events = events
        self.first_campaign = first_campaign
        self.last_campaign = last_campaign


def course_of(
    session: Session, in_order: Sequence[Row], campaigns: Sequence[CampaignEntry], vocabulary: Vocabulary
) -> Course:
    """The course of a session of a profile, whose journal and campaigns are given in event-time order."""
    # Sessions of a profile are apart, so what lies within its bounds is the session's.
    start = bisect_left(in_order, (session.started_ms,))
    rows = in_order[start : bisect_left(in_order, (session.ended_ms + 1,))]
    path = [vocabulary.step_of(row[3], row[4]) for row in rows[:LONGEST_PATH]]
    events: dict[str, int] = {}
    for row in rows:
        event = vocabulary.name_of(row[4])
        events[event] = events.get(event, 0) + 1
    first: Campaign | None = None
    last: Campaign | None = None
    for entry in campaigns:
        if session.started_ms <= entry.occurred_ms <= session.ended_ms:
            first, last = first or entry.campaign, entry.campaign
    return Course(path, len(rows) > LONGEST_PATH, events, first, last)
