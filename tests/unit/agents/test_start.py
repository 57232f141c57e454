"""A worker is what the settings say."""

from __future__ import annotations

import dataclasses

import pytest

from streams.agents.rules import rules_of
from streams.agents.start import NoTransactions, guarantee_of, plan_of
from streams.core.rules import Rules
from streams.runtime.broker_traits import EMBEDDED, REAL, BrokerTraits
from streams.runtime.task import Pace
from streams.settings import load


def test_the_plan_has_what_the_settings_say() -> None:
    """Sizes, times and addresses reach the worker in its units."""
    settings = load(
        None,
        {
            "THROUGHLINE_APP_NAME": "shop",
            "THROUGHLINE_KAFKA_BOOTSTRAP_SERVERS": "a:1,b:2",
            "THROUGHLINE_KAFKA_PARTITIONS": "7",
            "THROUGHLINE_WORKER_BATCH_RECORDS": "10",
            "THROUGHLINE_WORKER_BATCH_BYTES": "2048",
            "THROUGHLINE_WORKER_POLL_MS": "50",
            "THROUGHLINE_WORKER_CLOCK": "replay",
            "THROUGHLINE_WORKER_MAX_DEAD_SHARE": "0.25",
        },
    )
    plan = plan_of(settings, EMBEDDED)
    assert (plan.name, plan.bootstrap_servers, plan.partitions) == ("shop", "a:1,b:2", 7)
    assert plan.pace == Pace(10, 2048, 0.05)
    assert (plan.is_live, plan.max_dead_share, plan.traits) == (False, 0.25, EMBEDDED)


def test_membership_and_transactions_are_as_set() -> None:
    """Sessions, instance id and transaction timeout reach a worker on a real broker."""
    settings = load(
        None,
        {
            "THROUGHLINE_WORKER_SESSION_S": "20",
            "THROUGHLINE_WORKER_INSTANCE_ID": "worker-1",
            "THROUGHLINE_WORKER_TRANSACTION_TIMEOUT_S": "7",
        },
    )
    plan = plan_of(settings, REAL)
    assert (plan.traits.session_s, plan.instance_id, plan.transaction_timeout_s) == (20, "worker-1", 7)


@pytest.mark.parametrize(
    ("asked", "traits", "expected"),
    [
        ("auto", REAL, "exactly_once"),
        ("auto", EMBEDDED, "at_least_once"),
        ("exactly_once", REAL, "exactly_once"),
        ("at_least_once", REAL, "at_least_once"),
        ("at_least_once", EMBEDDED, "at_least_once"),
    ],
)
def test_the_guarantee_is_what_the_broker_can_give(asked: str, traits: BrokerTraits, expected: str) -> None:
    """Exactly once wherever there are transactions, unless less was asked for."""
    assert guarantee_of(asked, traits) == expected


def test_less_than_was_asked_for_is_refused() -> None:
    """The embedded broker has no transactions: said at the start, not found out after a crash."""
    with pytest.raises(NoTransactions, match="the embedded broker has no transactions"):
        guarantee_of("exactly_once", EMBEDDED)


def test_default_settings_are_the_default_rules() -> None:
    """The numbers the core decides by have one default, whichever side is asked."""
    assert rules_of(load(None, {})) == Rules()


def test_every_rule_can_be_set() -> None:
    """No rule of the core is deaf to the settings: each differs once its setting does.

    But those that no answer depends on, which are there for tests of what many members bring.
    """
    changed = {
        "THROUGHLINE_IDENTITY_RANKS": "email,user_id",
        "THROUGHLINE_IDENTITY_LIMITS": "email=2,phone=0",
        "THROUGHLINE_IDENTITY_ON_CONFLICT": "email=move",
        "THROUGHLINE_IDENTITY_SHARED_PROFILES": "20",
        "THROUGHLINE_IDENTITY_SHARED_WITHIN_S": "60",
        "THROUGHLINE_IDENTITY_DEFAULT_REGION": "DE",
        "THROUGHLINE_IDENTITY_DROP_PLUS_TAGS": "gmail.com",
        "THROUGHLINE_IDENTITY_BLOCKED": "email:till@*",
        "THROUGHLINE_SESSIONS_GAP_S": "1",
        "THROUGHLINE_SESSIONS_GAPS_S": "web=2",
        "THROUGHLINE_CARTS_ABANDON_AFTER_S": "3",
        "THROUGHLINE_CARTS_RECOVERY_S": "4",
        "THROUGHLINE_CARTS_LEFTOVERS": "keep",
        "THROUGHLINE_CARTS_REMINDERS_S": "4",
        "THROUGHLINE_CARTS_BROWSE_VIEWS": "3",
        "THROUGHLINE_CARTS_MOST_ENTRIES": "10",
        "THROUGHLINE_SESSIONS_MOST_TOUCHPOINTS": "100",
        "THROUGHLINE_SESSIONS_MOST_CAMPAIGNS": "10",
        "THROUGHLINE_SESSIONS_EVENTS": "Fitting Room Booked",
        "THROUGHLINE_ACTIONS_TIMER_LATENESS_S": "5",
        "THROUGHLINE_ACTIONS_MAX_AGE_S": "6",
        "THROUGHLINE_ACTIONS_EXPIRES_S": "7",
        "THROUGHLINE_ACTIONS_CHANNELS": "push",
        "THROUGHLINE_KAFKA_MAX_RECORD_BYTES": "2000",
        "THROUGHLINE_WORKER_CLOCK": "replay",
    }
    rules, default = rules_of(load(None, changed)), Rules()
    deaf = [f.name for f in dataclasses.fields(Rules) if getattr(rules, f.name) == getattr(default, f.name)]
    assert deaf == ["few_members", "piece_members"]
    assert (rules.limits["user_id"], rules.limits["email"], "phone" in rules.limits) == (1, 2, False)
    assert (rules.gaps_ms, rules.abandon_after_ms, rules.expires_ms) == ({"web": 2000}, 3000, 7000)
