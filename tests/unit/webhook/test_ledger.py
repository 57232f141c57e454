"""What is remembered of actions: the same from records read back as from deliveries made."""

from __future__ import annotations

from random import Random

from sinks.webhook.ledger import Known, Ledger, Standing


def test_noting_again_changes_nothing(seed: int) -> None:
    """Records of an earlier life, read back in their order and any of them twice, lead to the same.
    Seen to fail without the look at the revision."""
    print(f"seed {seed}")
    random = Random(seed)
    records = []
    for revision in range(1, 200):
        status = random.choice(["due", "cancelled", "recovered"])
        for outcome in random.choice([["delivered"], ["retrying", "delivered"], ["withdrawn"], ["given_up"]]):
            records.append((revision, status, outcome, random.random() < 0.5))
    once, twice = Ledger(), Ledger()
    for number, (revision, status, outcome, is_sent) in enumerate(records):
        once.note("a1", revision, status, outcome=outcome, is_sent=is_sent)
        twice.note("a1", revision, status, outcome=outcome, is_sent=is_sent)
        old = records[random.randrange(number + 1)]
        if old[0] < revision:
            twice.note("a1", old[0], old[1], outcome=old[2], is_sent=old[3])
        assert twice.get("a1") == once.get("a1")


def test_what_was_heard_of_least_recently_is_forgotten() -> None:
    """Memory is bounded; a retry is being heard of."""
    ledger = Ledger(most=2)
    for name in ("a", "b"):
        ledger.note(name, 1, "due", outcome="delivered", is_sent=True)
    ledger.note("a", 2, "cancelled", outcome="retrying", is_sent=False)
    ledger.note("c", 1, "due", outcome="withdrawn", is_sent=False)
    assert (len(ledger), ledger.get("b")) == (2, None)
    assert ledger.get("a") == Known(1, 2, Standing.DUE, 0)
    assert ledger.get("c") == Known(1, 1, Standing.NOTHING, 0)
