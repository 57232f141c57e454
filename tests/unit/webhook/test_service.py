"""The whole webhook sink: a broker before it, receivers that answer over HTTP behind it."""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
import signal
import subprocess
import sys
import threading
import time
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager

import pytest

from sinks.webhook.courier import Courier
from streams.broker.embedded import EmbeddedBroker
from tests.unit.sinks.samples import AT_MS
from tests.unit.webhook.build import SECRET, action, endpoint
from tests.unit.webhook.world import (
    TOPICS,
    WAIT_S,
    Receiver,
    Request,
    committed,
    deliveries,
    receiving,
    serving,
    until,
    write,
)

pytestmark = pytest.mark.timeout(90)


@pytest.fixture
def bootstrap() -> Iterator[str]:
    with EmbeddedBroker.start(TOPICS, group_delay_ms=50) as broker:
        yield broker.bootstrap


def outcomes(bootstrap: str) -> dict[str, list[tuple[int, str, str]]]:
    """(revision, outcome, reason) of each action's records, in their order."""
    found: dict[str, list[tuple[int, str, str]]] = {}
    for each in deliveries(bootstrap):
        said = (each["revision"], each["outcome"], each["reason"])
        found.setdefault(each["action_id"], []).append(said)
    return found


def signature(secret: str, request: Request) -> str:
    """What the specification says, written down once more."""
    signed = b".".join(
        [request.headers["webhook-id"].encode(), request.headers["webhook-timestamp"].encode(), request.body]
    )
    return "v1," + base64.b64encode(hmac.digest(secret.encode(), signed, hashlib.sha256)).decode()


def test_an_action_arrives_signed_and_its_fate_is_recorded(bootstrap: str) -> None:
    """The body is the action, times as text; both secrets of a rotation have signed it; the attempt is a record."""
    other = "the secret that comes after, in due time"
    with receiving() as crm:
        write(bootstrap, action(items=[{"product_id": "p", "quantity": 2, "price_micros": 2_500_000}]))
        with serving(bootstrap, endpoint(url=crm.url, keys=(SECRET.encode(), other.encode()))):
            until(lambda: len(crm.got) == 1)
    (request,) = crm.got
    sent = json.loads(request.body)
    assert (sent["action_id"], sent["status"], sent["identifiers"]) == (
        "a1",
        "due",
        {"email": "ann@example.org"},
    )
    assert (sent["due_at"], sent["items"][0]["quantity"]) == ("2023-11-14T22:13:20.000Z", 2)
    assert request.headers["webhook-signature"].split() == [
        signature(SECRET, request),
        signature(other, request),
    ]
    assert abs(int(request.headers["webhook-timestamp"]) - time.time()) < 60
    assert (request.key, request.headers["webhook-id"]) == ("a1", "a1:1")
    assert request.headers["content-type"] == "application/json"
    (record,) = deliveries(bootstrap)
    assert (record["endpoint"], record["outcome"], record["response_status"]) == ("crm", "delivered", 200)
    assert (record["attempt"], record["is_sent"], record["retry_at"]) == (1, True, None)
    assert committed(bootstrap, "crm")[0] == 1


def test_failures_are_tried_again_under_the_same_key_and_refusals_are_not(bootstrap: str) -> None:
    """A 503 is followed by more of the same, a 400 by nothing; redirects are refusals, and lead nowhere."""
    answers = {"a1": [503, 429, 408, 200], "a2": [400], "a3": [307]}

    def answer(request: Request) -> tuple[int, dict[str, str]]:
        return answers[request.key].pop(0), {"Location": "/elsewhere"}

    with receiving(answer) as crm:
        write(bootstrap, action("a1"), action("a2"), action("a3"))
        with serving(bootstrap, endpoint(url=crm.url)):
            until(lambda: not any(answers.values()))
            until(lambda: committed(bootstrap, "crm")[0] == 3)
    assert sorted(crm.heard()) == ["a1"] * 4 + ["a2", "a3"]
    assert outcomes(bootstrap) == {
        "a1": [
            (1, "retrying", "failed"),
            (1, "retrying", "busy"),
            (1, "retrying", "failed"),
            (1, "delivered", ""),
        ],
        "a2": [(1, "given_up", "refused")],
        "a3": [(1, "given_up", "refused")],
    }


def test_what_expires_while_it_is_tried_is_given_up(bootstrap: str) -> None:
    """The wall clock is the test's: it passes `expires_at` between two attempts, and the record says why."""
    now_ms = AT_MS
    with receiving(lambda _: (503, {})) as crm:
        write(bootstrap, action(expires_at=AT_MS + 60_000))
        with serving(bootstrap, endpoint(url=crm.url, first_backoff_s=0.001), clock_ms=lambda: now_ms):
            until(lambda: len(crm.got) >= 1)
            tried = outcomes(bootstrap)
            now_ms = AT_MS + 59_999
            until(lambda: outcomes(bootstrap)["a1"][-1] == (1, "given_up", "expired"))
            until(lambda: committed(bootstrap, "crm")[0] == 1)
    assert all(said == (1, "retrying", "failed") for said in tried.get("a1", []))


def test_retry_after_is_honoured(bootstrap: str) -> None:
    """By the test's clock: no second attempt one moment before the receiver asked for one, one at that moment."""
    now_ms, asked = AT_MS, [(503, {"Retry-After": "3600"})]
    with receiving(lambda _: asked.pop() if asked else (200, {})) as crm:
        write(bootstrap, action())
        with serving(bootstrap, endpoint(url=crm.url), clock_ms=lambda: now_ms):
            until(lambda: len(outcomes(bootstrap)) == 1)
            now_ms = AT_MS + 3_600_000 - 1
            write(bootstrap, action("a2"))
            until(lambda: crm.heard()[1:] == ["a2"])
            assert crm.heard() == ["a1", "a2"]
            now_ms = AT_MS + 3_700_000
            until(lambda: crm.heard() == ["a1", "a2", "a1"])


def test_a_cancellation_withdraws_or_follows(bootstrap: str) -> None:
    """In one partition or two, read in any order: nothing due comes after it, and what was not sent is not told."""
    with receiving() as crm:
        write(bootstrap, action("sent"))
        with serving(bootstrap, endpoint(url=crm.url)):
            until(lambda: crm.heard() == ["sent"])
        write(bootstrap, action("unsent"), action("unsent", 2, "cancelled"), action("sent", 2, "cancelled"))
        write(bootstrap, action("other", 2, "cancelled"), partition=1)
        with serving(bootstrap, endpoint(url=crm.url)):
            until(lambda: len(crm.got) == 3)
            write(bootstrap, action("other"))
            until(lambda: committed(bootstrap, "crm") == {0: 5, 1: 1})
    assert sorted(crm.heard()) == ["other:cancelled:2", "sent", "sent:cancelled:2"]
    assert outcomes(bootstrap)["unsent"] == [(1, "withdrawn", "superseded")]


def test_endpoints_hear_of_what_they_asked_for(bootstrap: str) -> None:
    """By trigger and channel; recovered where it is wanted; historical actions never."""
    with receiving() as cart, receiving() as sms:
        write(
            bootstrap,
            action("a1"), action("a1", 2, "recovered", recovered_micros=1),
            action("a2", trigger="payment_failed", channels=["sms"]),
            action("a3", historical=True, channels=["sms"]),
        )  # fmt: skip
        wants = endpoint("cart", cart.url, triggers=frozenset({"abandoned_cart"}), wants_recovered=True)
        with serving(bootstrap, wants, endpoint("sms", sms.url, channels=frozenset({"sms"}))):
            until(lambda: committed(bootstrap, "cart")[0] == committed(bootstrap, "sms")[0] == 4)
            write(bootstrap, action("a4"))
            until(lambda: cart.heard() == ["a4"])
            write(bootstrap, action("a4", 2, "recovered", recovered_micros=1))
            until(lambda: cart.heard() == ["a4", "a4:recovered:2"])
    assert sms.heard() == ["a2"]


def test_a_hanging_endpoint_holds_up_nobody_and_fills_no_memory(bootstrap: str) -> None:
    """The other gets everything; the one that hangs has its backlog in memory, the rest stays in Kafka."""
    with receiving(lambda _: (200 if crm_hangs.wait(WAIT_S) else 500, {})) as crm, receiving() as sms:
        crm_hangs = crm.closing
        write(bootstrap, *(action(f"a{number}") for number in range(300)))
        slow = endpoint("crm", crm.url, concurrency=2, backlog=20, timeout_s=0.5)
        with serving(bootstrap, slow, endpoint("sms", sms.url)) as served:
            until(lambda: len(sms.got) == 300)
            until(lambda: committed(bootstrap, "sms")[0] == 300)
            assert committed(bootstrap, "crm")[0] == 0
    assert sorted(sms.heard()) == sorted(f"a{number}" for number in range(300))
    assert served.outcomes["crm"].keys() <= {"retrying"}
    heard = {each["action_id"] for each in deliveries(bootstrap) if each["endpoint"] == "crm"}
    assert len(heard | set(crm.heard())) <= 20


def test_reading_that_stops_and_goes_on_loses_nothing(bootstrap: str) -> None:
    """With room for four events, reading stops and goes on all the time: each action arrives, once. Seen to fail with
    what had been fetched thrown away at each stop."""
    names = [f"a{number}" for number in range(200)]
    with receiving() as crm:
        for number, name in enumerate(names):
            write(bootstrap, action(name), partition=number % 2)
        with serving(bootstrap, endpoint(url=crm.url, backlog=4, concurrency=2)):
            until(lambda: committed(bootstrap, "crm") == {0: 100, 1: 100})
    assert sorted(crm.heard()) == sorted(names)


def test_no_more_requests_at_once_than_allowed(bootstrap: str) -> None:
    """As the receiver counts them; and as many as that. Seen to fail with one more let in."""
    release = threading.Event()
    with receiving(lambda _: (200 if release.wait(WAIT_S) else 500, {})) as crm:
        write(bootstrap, *(action(f"a{number}") for number in range(30)))
        with serving(bootstrap, endpoint(url=crm.url, concurrency=3)):
            until(lambda: len(crm.got) == 3)
            release.set()
            until(lambda: len(crm.got) == 30)
    assert crm.most_at_once == 3


@contextmanager
def process(bootstrap: str, crm: Receiver) -> Iterator[subprocess.Popen[bytes]]:
    """The service in a process of its own, killed at the end if it lives."""
    words = [sys.executable, "-m", "tests.unit.webhook.webhook_process", bootstrap, crm.url]
    with subprocess.Popen(words) as started:
        try:
            yield started
        finally:
            started.kill()


def test_killed_between_sending_and_recording_it_sends_again_under_the_same_key(bootstrap: str) -> None:
    """What had arrived, unrecorded, comes again with the same Idempotency-Key and webhook-id; what was recorded does
    not; what was cancelled meanwhile is taken back, for it may have arrived. Seen to fail without the declaration:
    `gone` was never cancelled."""
    killed: list[subprocess.Popen[bytes]] = []

    def answer(request: Request) -> tuple[int, dict[str, str]]:
        if killed and request.key in ("again", "gone"):
            crm.closing.wait(WAIT_S)
        return 200, {}

    with receiving(answer) as crm:
        write(bootstrap, action("done"))
        with process(bootstrap, crm) as first:
            until(lambda: len(deliveries(bootstrap)) == 1)
            killed.append(first)
            write(bootstrap, action("again"), action("gone"))
            until(lambda: sorted(crm.heard()) == ["again", "done", "gone"])
            first.send_signal(signal.SIGKILL)
            first.wait(WAIT_S)
        killed.clear()
        write(bootstrap, action("gone", 2, "cancelled"))
        with process(bootstrap, crm) as second:
            until(lambda: committed(bootstrap, "crm")[0] == 4)
            second.send_signal(signal.SIGTERM)
            assert second.wait(WAIT_S) == 0
    assert sorted(crm.heard()) == ["again", "again", "done", "gone", "gone:cancelled:2"]
    assert len({r.headers["webhook-id"] for r in crm.got if r.key == "again"}) == 1


def test_what_was_recorded_but_not_committed_is_not_sent_again(
    bootstrap: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A crash just before the commit: the records of deliveries say that nothing is left to do. Seen to fail without
    reading them."""
    with receiving() as crm:
        write(bootstrap, action("a1"), action("a2"), action("a2", 2, "cancelled"), action("a3", expires_at=1))
        with monkeypatch.context() as patched, serving(bootstrap, endpoint(url=crm.url)):
            patched.setattr(Courier, "_commit_now", lambda *_: None)
            until(lambda: len(outcomes(bootstrap)) == 3)
        assert committed(bootstrap, "crm")[0] < 0
        before = outcomes(bootstrap)
        with serving(bootstrap, endpoint(url=crm.url)):
            until(lambda: committed(bootstrap, "crm")[0] == 4)
    assert crm.heard() == ["a1"]
    assert outcomes(bootstrap) == before
    assert before["a3"] == [(1, "given_up", "expired")]


def test_a_second_process_takes_its_share_and_takes_over(bootstrap: str) -> None:
    """Partitions are shared out while actions come in, and come back when one ends: every action is delivered, and what
    one had delivered the other does not send again."""
    with receiving() as crm:
        each = endpoint(url=crm.url)
        names = [f"a{number}" for number in range(60)]
        with serving(bootstrap, each):
            write(bootstrap, *map(action, names[:20]))
            until(lambda: len(crm.got) == 20)
            with serving(bootstrap, each):
                for number, name in enumerate(names[20:40]):
                    write(bootstrap, action(name), partition=number % 2)
                    time.sleep(0.1)
                until(lambda: len(set(crm.heard())) == 40)
            write(bootstrap, *map(action, names[40:]), partition=1)
            until(lambda: len(set(crm.heard())) == 60)
            until(lambda: committed(bootstrap, "crm") == {0: 30, 1: 30})
    assert set(crm.heard()) == set(names)
    again = {key for key in crm.heard() if crm.heard().count(key) > 1}
    assert not again & {*names[:20], *names[40:]}


def test_a_broker_that_was_away_costs_nothing() -> None:
    """Cut off and back: what comes afterwards is delivered, nothing twice."""
    with EmbeddedBroker.start(TOPICS, group_delay_ms=50) as broker, receiving() as crm:
        write(broker.bootstrap, action("a1"))
        with serving(broker.bootstrap, endpoint(url=crm.url)):
            until(lambda: crm.heard() == ["a1"])
            broker.down()
            time.sleep(1.0)
            broker.up()
            write(broker.bootstrap, action("a2"))
            until(lambda: committed(broker.bootstrap, "crm")[0] == 2)
    assert crm.heard() == ["a1", "a2"]


def test_it_says_how_it_is(bootstrap: str) -> None:
    """Ready once every endpoint knows what was done before; metrics by endpoint and outcome, nobody's name in them."""
    port = _free_port()
    with receiving() as crm, serving(bootstrap, endpoint(url=crm.url), metrics_port=port):
        write(bootstrap, action())
        until(lambda: committed(bootstrap, "crm")[0] == 1)
        assert json.loads(_get(port, "/readyz")) == {"ready": True, "waiting": []}
        assert json.loads(_get(port, "/livez")) == {"live": True}
        until(lambda: 'throughline_webhook_lag_records{endpoint="crm"} 0.0' in _get(port, "/metrics"))
        counted = 'throughline_webhook_deliveries_total{endpoint="crm",outcome="delivered",reason=""} 1.0'
        assert counted in _get(port, "/metrics")
        assert "ann@" not in _get(port, "/metrics")


def _free_port() -> int:
    import socket

    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def _get(port: int, path: str) -> str:
    opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
    with opener.open(f"http://127.0.0.1:{port}{path}", timeout=WAIT_S) as answer:
        return str(answer.read().decode())
