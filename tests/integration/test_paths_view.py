"""Paths of sessions: from step to step, as the sessions that are over tell them."""

from __future__ import annotations

from tests.integration.shop import Shop

COLUMNS = "step, from_step, to_step, from_channel, to_channel, sessions, with_order"


def test_a_path_is_its_steps_from_start_to_end(shop: Shop) -> None:
    """A step that comes again at once is one, later again it is another; sessions of a day count together; a path that
    is cut leads to (more); sessions that may still change, or are no more, lead nowhere.

    Seen to fail with steps that are counted as often as they come, and with sessions that are not final.
    """
    view, buy, mail = "web:Product Viewed", "pos:Order Completed", "email:Email Sent"
    shop.session("s1", 0, 9, is_final=True, orders=1, path=[view, view, buy, view])
    shop.session("s2", 1, 9, is_final=True, path=[view])
    shop.session("s3", 2, 9, is_final=True, is_path_cut=True, path=[mail])
    shop.session("s4", 3, 9, is_final=False, path=[mail])
    shop.session("s5", 4, 9, is_final=True, is_retracted=True, path=[mail])
    shop.session("s6", 5, 9, is_final=True, path=[])
    asked = f"SELECT {COLUMNS} FROM paths ORDER BY step, from_step, to_step"
    assert shop.ask(asked) == [
        (0, "(start)", mail, "(start)", "email", 1, 0),
        (0, "(start)", view, "(start)", "web", 2, 1),
        (1, mail, "(more)", "email", "(more)", 1, 0),
        (1, view, "(end)", "web", "(end)", 1, 0),
        (1, view, buy, "web", "pos", 1, 1),
        (2, buy, view, "pos", "web", 1, 1),
        (3, view, "(end)", "web", "(end)", 1, 1),
    ]


def test_paths_are_by_the_day_a_session_began(shop: Shop) -> None:
    """A session over midnight is of the day before.

    Seen to fail with the day it ended.
    """
    shop.session("s1", 0, 24 * 60, is_final=True, path=["web:page"])
    began = "(SELECT toDate(started_at) FROM current_sessions)"
    assert shop.ask(f"SELECT DISTINCT day = {began} FROM paths") == [(True,)]
