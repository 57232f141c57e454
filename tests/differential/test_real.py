"""On a real Kafka once more: every scenario by two workers; and, in live time, a worker that was down."""

from __future__ import annotations

import time
from pathlib import Path
from typing import Any

import pytest

from schemas.codec import decode
from tests.differential.finals import assert_alike
from tests.differential.lines import real
from tests.differential.promises import promised_actions
from tests.differential.scenarios import PEOPLE_A_KIND
from tests.differential.shop import PEOPLE, Played, assert_right, played_on
from tests.integration.brokers import RealKafka
from tests.integration.real_line import WAIT_S, installation, reading, records
from tests.integration.test_real_line import ABANDON_AFTER_S, TIMER_LATENESS_S, Shop

pytestmark = [pytest.mark.kafka, pytest.mark.timeout(400), pytest.mark.xdist_group("differential")]


def test_from_zero_by_two_workers_all_rows_are_the_same(
    real_kafka: RealKafka, real_shop: Played, tmp_path: Path
) -> None:
    """In a new installation: right by the oracle, and equal rows, ids included."""
    with real(real_kafka, tmp_path) as line:
        again = played_on(line, real_shop.stream, workers=2, is_real=True)
    assert_right(again)
    promised = promised_actions(real_shop.stream.touchpoints())
    assert len(promised) > PEOPLE / 2, "too few actions to speak of"
    assert_alike(real_shop.finals, again.finals, promised=promised)


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
            buyer, card = f"buyer-{who}", f"card-{who}"
            added_ms = shop.put("web", f"{buyer} adds", "Product Added", user_id=buyer, loyalty_id=card)
            # By the clock of a busy machine Kafka may need longer for the first than a cart has.
            shop.put("pos", f"{buyer} buys", "Order Completed", at_ms=added_ms + 1, loyalty_id=card)
            shop.put("web", f"leaver-{who} adds", "Product Added", user_id=f"leaver-{who}")
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
