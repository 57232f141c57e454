"""The same on a real Kafka: a day by one worker, by two, and once more from zero; and a worker that was down."""

from __future__ import annotations

import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from schemas.codec import decode
from tests.differential.finals import Finals, assert_alike, finals
from tests.differential.lines import play, real
from tests.differential.promises import promised_actions
from tests.differential.scenarios import PEOPLE_A_KIND, START_MS, a_day, unread_purchases
from tests.differential.stream import Stream
from tests.integration.brokers import RealKafka
from tests.integration.real_line import WAIT_S, installation, reading, records
from tests.integration.test_real_line import ABANDON_AFTER_S, TIMER_LATENESS_S, Shop
from tests.oracle.compare import answer, differences, read_landed
from tests.oracle.rules import HOUR_MS

pytestmark = [pytest.mark.kafka, pytest.mark.timeout(400)]

PEOPLE = 100
WORKERS_FROM_MS = START_MS + 4 * HOUR_MS


def the_day(seed: int) -> Stream:
    """A day of the shop, and before it opens carts that wait for the worker with their purchases."""
    return Stream(
        (a_day(seed, PEOPLE), unread_purchases()),
        ticks_ms=range(START_MS, START_MS + 32 * HOUR_MS, HOUR_MS),
        pauses_ms=(WORKERS_FROM_MS,),
        workers_from_ms=WORKERS_FROM_MS,
    )


@dataclass(frozen=True, slots=True)
class Day:
    """The day by one worker; `promised` are actions whose ids any other run must have as well."""

    stream: Stream
    finals: Finals
    promised: set[str]


def final_rows(kafka: RealKafka, directory: Path, stream: Stream, *, workers: int) -> Finals:
    """Of a new installation, which must come out as the oracle says."""
    with real(kafka, directory) as line:
        play(line, stream, workers=workers)
        found = differences(answer(stream.touchpoints()), read_landed(line.query))
        assert not found, str(found)
        acted = {opened_by for (opened_by,) in line.query("SELECT opened_by FROM actions")}
        assert {one for one in acted if one.startswith(("unread", "left"))} == {
            f"left-{who}-adds" for who in range(PEOPLE_A_KIND)
        }
        return finals(line.query)


@pytest.fixture(scope="module")
def day(real_kafka: RealKafka, seed: int, tmp_path_factory: pytest.TempPathFactory) -> Day:
    """The day in its own order comes out right: missing, duplicate, wrong, false and missed are all 0."""
    stream = the_day(seed)
    directory = tmp_path_factory.mktemp("day")
    rows = final_rows(real_kafka, directory, stream, workers=1)
    return Day(stream, rows, promised_actions(stream.touchpoints()))


@pytest.mark.parametrize("workers", [1, 2])
def test_from_zero_in_a_new_installation_all_rows_are_the_same(
    real_kafka: RealKafka, day: Day, tmp_path: Path, workers: int
) -> None:
    """A day, and carts that waited for the worker: right by the oracle; once more, or by two workers, equal rows."""
    again = final_rows(real_kafka, tmp_path, day.stream, workers=workers)
    assert len(day.promised) > PEOPLE_A_KIND
    assert_alike(day.finals, again, promised=day.promised)


def test_a_worker_that_was_down_past_the_deadline_finds_the_purchase_first(
    real_kafka: RealKafka, tmp_path: Path
) -> None:
    """In live time: the cart was due before the worker started, its purchase lay unread at the till. No action, ever.

    Those who left their carts are acted upon, so the silence about the others is worth something.
    """
    settings = {
        "WORKER_CLOCK": "live",
        "CARTS_ABANDON_AFTER_S": str(ABANDON_AFTER_S),
        "ACTIONS_TIMER_LATENESS_S": str(TIMER_LATENESS_S),
    }
    people = range(PEOPLE_A_KIND)
    with installation(real_kafka, tmp_path, **settings) as line:
        shop = Shop(line.bootstrap)
        for who in people:
            shop.put(
                "web", f"buyer-{who} adds", "Product Added", user_id=f"buyer-{who}", loyalty_id=f"card-{who}"
            )
            shop.put("web", f"leaver-{who} adds", "Product Added", user_id=f"leaver-{who}")
        for who in people:
            shop.put("pos", f"buyer-{who} buys", "Order Completed", loyalty_id=f"card-{who}")
        time.sleep(2 * (ABANDON_AFTER_S + TIMER_LATENESS_S))
        line.start("worker")
        with reading(line.bootstrap, "actions") as acted:
            said = [
                *records(acted, for_s=WAIT_S, until=PEOPLE_A_KIND),
                # Buyers' timers stood no later than the leavers': had they meant anything, it would be heard by now.
                *records(acted, for_s=2.0),
            ]
        line.stop()
    actions: list[dict[str, Any]] = [decode(record.value() or b"")[1] for record in said]
    assert sorted((action["opened_by"], action["status"]) for action in actions) == [
        (f"leaver-{who} adds", "due") for who in people
    ]
