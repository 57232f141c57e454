"""Messages, surveys, loyalty and tickets: each once, as it stands."""

from __future__ import annotations

import random

import pytest

from tests.integration.shop import Shop, at_ms

pytestmark = pytest.mark.xdist_group("contact_views")

DAY = at_ms("2024-03-01")
HOUR = 3_600_000


def test_a_message_is_one_row_however_much_is_told_of_it(shop: Shop) -> None:
    """First times count, machines neither open nor click, and without an id there is no message."""
    mail = {"email_id": "e1", "template_id": "spring"}
    shop.tell("email", "Email Delivered", "ann", DAY + 1, **mail)
    shop.tell("email", "Email Sent", "ann", DAY, **mail)
    shop.tell("email", "Email Opened", "ann", DAY + 2, **mail, is_automated=True)
    shop.tell("email", "Email Opened", "ann", DAY + 4, **mail)
    shop.tell("email", "Email Opened", "ann", DAY + 3, **mail)
    shop.tell("email", "Email Link Clicked", "ann", DAY + 2, **mail, is_automated=True)
    shop.tell("email", "Email Sent", "ann", DAY)
    shop.tell("sms", "SMS Link Clicked", "bob", DAY + 5, sms_id="e1")
    shop.tell("push", "Push Notification Tapped", "bob", DAY + 6, notification_id="n1")
    moments = ", ".join(
        f"toUnixTimestamp64Milli({name}) - {DAY}"
        for name in ("sent_at", "delivered_at", "opened_at", "clicked_at")
    )
    assert shop.ask(f"SELECT channel, sent_id, profile_id, {moments} FROM messages ORDER BY channel") == [
        ("email", "e1", "ann", 0, 1, 3, None),
        ("push", "n1", "bob", None, None, 6, 6),
        ("sms", "e1", "bob", None, None, None, 5),
    ]


SCORES = "SELECT response_id, question_id, score, answers, is_latest FROM surveys ORDER BY ALL"


def test_an_answer_given_twice_is_the_latest(shop: Shop) -> None:
    """By response and question, in whatever order the answers arrive."""
    answers = [
        shop.touchpoint(
            "survey", "Survey Answered", "ann", DAY + at, response_id="r1", question_id=question, score=score
        )
        for at, question, score in ((2, "q1", 4), (0, "q1", 1), (1, "q1", 5), (0, "q2", 3))
    ]
    random.Random(7).shuffle(answers)
    shop.land("touchpoints.stitched", *answers)
    assert shop.ask(SCORES) == [("r1", "q1", 4, 3, True), ("r1", "q2", 3, 1, True)]


@pytest.mark.parametrize("about", ["order_id", "ticket_id", "conversation_id"])
def test_the_latest_response_about_the_same_thing_counts(shop: Shop, about: str) -> None:
    """A second response about an order, ticket or conversation takes the place of the first, months later too."""
    for response, later, thing in (("r1", 0, "a"), ("r2", 40, "a"), ("r3", 1, "b")):
        when = at_ms("2024-03-01", days=later)
        same = {"response_id": response, "survey_id": "s", "survey_kind": "csat", about: thing}
        shop.tell("survey", "Survey Answered", "ann", when, **same, score=4)
    shop.tell(
        "survey", "Survey Answered", "bob", DAY, survey_id="s", survey_kind="csat", **{about: "a"}, score=1
    )
    assert shop.ask("SELECT response_id, is_latest FROM surveys ORDER BY response_id") == [
        ("", True), ("r1", False), ("r2", True), ("r3", True),
    ]  # fmt: skip


def test_where_it_is_about_nothing_a_month_has_one_response(shop: Shop) -> None:
    """A person asked again next month answers again."""
    for response, days in (("r1", 0), ("r2", 30), ("r3", 31)):
        when = at_ms("2024-03-01", days=days)
        shop.tell("survey", "Survey Answered", "ann", when, response_id=response, survey_kind="nps", score=9)
    assert shop.ask("SELECT response_id, is_latest FROM surveys ORDER BY response_id") == [
        ("r1", False), ("r2", True), ("r3", True),
    ]  # fmt: skip


def test_nps_and_csat_are_those_of_the_scores(shop: Shop) -> None:
    """NPS by 9 and 10 against 0 to 6, CSAT by the two highest of the scale; what was answered over does not count."""
    for who, score in enumerate((10, 9, 8, 7, 6, 0, 9, 10)):
        shop.tell("survey", "Survey Answered", f"p{who}", DAY + who, survey_kind="NPS", score=score)
    shop.tell("survey", "Survey Answered", "p0", DAY - 1 + HOUR, properties={"kind": "nps", "score": "0"})
    ratings: tuple[tuple[int, int | None, int | None], ...] = (
        (0, 5, None),
        (1, 4, 5),
        (2, 3, 5),
        (3, 6, 7),
        (4, 5, 7),
        (5, None, 5),
    )
    for who, given, highest in ratings:
        scores = {"score": given, "score_max": highest}
        shop.tell("survey", "Survey Answered", f"p{who}", DAY, survey_kind="csat", **scores)
    asked = "SELECT kind, answers, mean_score, nps, csat FROM kpi_surveys ORDER BY kind"
    assert shop.ask(asked) == [
        ("csat", 5, 23 / 5, None, 3 / 5),
        # Of eight, p0's second answer 0 stands for the 10: three promoters and three detractors.
        ("nps", 8, 49 / 8, 0.0, None),
    ]


def test_points_are_the_last_balance_and_what_came_since(shop: Shop) -> None:
    """Without a balance they are the sum of what was earned and spent; people who merge have theirs together."""
    moves = ((0, 50, None, "basic"), (1, 20, 100, ""), (2, -30, None, "gold"), (3, 5, None, ""))
    for at, delta, balance, tier in moves:
        told = {"points_delta": delta, "points_balance": balance, "tier": tier, "program": "club"}
        shop.tell("loyalty", "Loyalty Points Earned", "ann", DAY + at, **told)
    shop.tell("loyalty", "Loyalty Points Earned", "bob", DAY, points_delta=7, program="club")
    asked = "SELECT profile_id, points, points_earned, points_spent, tier FROM loyalty ORDER BY profile_id"
    assert shop.ask(asked) == [("ann", 75, 75, 30, "gold"), ("bob", 7, 7, 0, "")]
    shop.belongs("loyalty_id:1", "ann", own="bob")
    assert shop.ask(asked) == [("ann", 75, 82, 30, "gold")]


def test_a_ticket_is_solved_when_it_stays_so(shop: Shop) -> None:
    """Resolution is from the first touchpoint to the last solution; a ticket opened again has none."""
    for ticket, steps in {
        "t1": ((0, "Ticket Opened"), (2, "Ticket Solved"), (3, "Ticket Opened"), (7, "Ticket Solved")),
        "t2": ((0, "Ticket Opened"), (2, "Ticket Solved"), (3, "Ticket Opened")),
        "t3": ((1, "Ticket Opened"), (2, "Ticket Solved")),
    }.items():
        for hour, event in steps:
            shop.tell("support", event, "ann", DAY + hour * HOUR, ticket_id=ticket)
    shop.tell("support", "Support Call Ended", "ann", DAY, ticket_id="t4", is_resolved=True)
    asked = "SELECT ticket_id, resolution_s FROM tickets ORDER BY ticket_id"
    assert shop.ask(asked) == [("t1", 7 * 3600), ("t2", None), ("t3", 3600), ("t4", 0)]
    asked = "SELECT tickets, solved, mean_resolution_h, median_resolution_h FROM kpi_tickets"
    assert shop.ask(asked) == [(4, 3, 8 / 3, 1.0)]
