"""What a simulation puts on the wire."""

from __future__ import annotations

from collections import Counter
from itertools import islice

import pytest

from schemas import codec
from schemas.catalog import CHANNELS
from streams.core.normalise import Normaliser
from streams.core.rules import Rules
from streams.simulator.emit import Simulation
from streams.simulator.encoding import Encoder, as_record
from streams.simulator.options import DEMO_DAY, HOUR_MS, MINUTE_MS, Options, OptionsError
from streams.simulator.recorder import RANKS, Entry

CART_EVENTS = ("Product Added", "Product Removed", "Cart ", "Checkout ", "Payment Info", "Order Completed")


def entries_of(**options: int | float) -> list[Entry]:
    """A small day."""
    return list(Simulation(Options(**{"people": 150, **options})).entries())  # type: ignore[arg-type]


def test_a_seed_is_a_day() -> None:
    """The same seed gives the same bytes, another seed others."""
    once, again = (list(Simulation(Options(people=40, seed=3)).records()) for _ in range(2))
    assert once == again
    assert once != list(Simulation(Options(people=40, seed=4)).records())


def test_a_simulation_can_be_run_twice() -> None:
    """Each iterator begins anew, and so does the truth."""
    simulation = Simulation(Options(people=20))
    first = len(list(simulation.records()))
    assert len(list(simulation.records())) == first == simulation.truth().counts().records


def test_records_come_in_the_order_of_arrival() -> None:
    """A feeder can write ticks between them."""
    arrivals_ms = [each.arrival_ms for each in entries_of()]
    assert arrivals_ms == sorted(arrivals_ms)


def test_a_record_is_received_when_it_first_arrives() -> None:
    """A copy arrives later and says the same."""
    for each in entries_of(duplicate_share=0.2):
        late_ms = each.arrival_ms - each.touchpoint.received_at
        assert late_ms > 0 if each.is_copy else late_ms == 0


def test_message_ids_are_unique_but_for_copies() -> None:
    """Counting by message id is counting touchpoints."""
    originals = [each.touchpoint.message_id for each in entries_of() if not each.is_copy]
    assert len(set(originals)) == len(originals)


def test_identifiers_are_read_as_whom_they_name() -> None:
    """However carelessly a producer writes them: the truth knows nothing of how values are normalised."""
    normaliser = Normaliser(Rules())
    for each in entries_of(dirty_share=0.3):
        found = (normaliser.identifier(kind, value) for kind, value in each.touchpoint.identifiers.items())
        assert {identifier for identifier in found if identifier} == set(each.face.known)


def test_shares_are_as_asked() -> None:
    """Within what chance allows on thousands of records."""
    shares = {"late_share": 0.15, "out_of_order_share": 0.2, "duplicate_share": 0.1}
    records = entries_of(
        **shares, clock_error_share=0.05, misrouted_share=0.1, dirty_share=0.08, till_delay_h=0
    )
    originals = [each for each in records if not each.is_copy]
    delays_ms = [each.touchpoint.received_at - each.touchpoint.occurred_at for each in originals]
    measured = {
        "copies": (len(records) - len(originals)) / len(originals),
        "wrong clock": share(delay_ms < 0 or delay_ms > 72 * HOUR_MS for delay_ms in delays_ms),
        "late": share(5 * MINUTE_MS <= delay_ms <= 7 * HOUR_MS for delay_ms in delays_ms),
        "out of order": share(1_000 <= delay_ms <= MINUTE_MS + 400 for delay_ms in delays_ms),
        "dirty": share(is_dirty(each) for each in originals),
        "misrouted": share(each.key == each.face.weak_key for each in originals),
    }
    asked = {"copies": 0.1, "wrong clock": 0.05, "late": 0.15, "out of order": 0.2}
    assert measured == pytest.approx({**asked, "dirty": 0.08, "misrouted": 0.1}, abs=0.02)


def share(flags: object) -> float:
    """Of true ones."""
    listed = list(flags)  # type: ignore[call-overload]
    return float(sum(listed) / len(listed))


def is_dirty(each: Entry) -> bool:
    """What is written is not what is meant."""
    return tuple(f"{name}:{value}" for name, value in each.touchpoint.identifiers.items()) != each.face.known


def test_careful_producers_key_by_the_strongest_identifier() -> None:
    """With nothing dirty and nothing misrouted."""
    for each in entries_of(people=40, dirty_share=0, misrouted_share=0):
        name = next(name for name in RANKS if name in each.touchpoint.identifiers)
        assert each.key == f"{name}:{each.touchpoint.identifiers[name]}".encode()


def test_nothing_goes_wrong_where_nothing_is_asked_to() -> None:
    """All shares at zero: every record arrives once, within half a second, in order per person."""
    clean = {
        "late_share": 0,
        "out_of_order_share": 0,
        "duplicate_share": 0,
        "clock_error_share": 0,
        "misrouted_share": 0,
        "dirty_share": 0,
    }
    records = entries_of(**clean, till_delay_h=0)
    assert not any(each.is_copy or is_dirty(each) for each in records)
    assert all(0 <= each.arrival_ms - each.touchpoint.occurred_at <= 400 for each in records)


def test_tills_upload_hours_later() -> None:
    """Some do, unless nobody asks for it; nothing else is to blame here."""

    def worst_ms(till_delay_h: float) -> int:
        records = entries_of(people=600, late_share=0, clock_error_share=0, till_delay_h=till_delay_h)
        at_till = [each.touchpoint for each in records if each.touchpoint.channel == "pos"]
        return max(each.received_at - each.occurred_at for each in at_till)

    assert worst_ms(0) < 2 * MINUTE_MS
    assert HOUR_MS < worst_ms(5) < 5 * HOUR_MS


def test_the_bytes_are_the_codecs() -> None:
    """Encoding with shared parts gives what the contract's codec gives for the whole record."""
    encode = Encoder().encode
    for each in entries_of(people=60):
        record = as_record(each.touchpoint)
        assert encode(each.touchpoint) == codec.encode_touchpoint(record)
    _, decoded = codec.decode(encode(each.touchpoint))
    assert {name: decoded[name] for name in record} == {**record, "items": list(record["items"])}


def test_bots_change_nobody_elses_day() -> None:
    """Each household has dice of its own."""
    without = [each.touchpoint for each in entries_of(people=30)]
    with_bots = entries_of(people=30, bots=2)
    human = [each.touchpoint for each in with_bots if not each.face.known[0].startswith("anonymous_id:bot-")]
    assert human == without
    assert len(with_bots) - len(human) > 500


def users_of_a_profile(**options: int) -> int:
    """The largest number of accounts in one profile."""
    simulation = Simulation(Options(**{"people": 60, **options}))  # type: ignore[arg-type]
    for _ in simulation.entries():
        pass
    return max(
        sum(identifier.startswith("user_id:") for identifier in profile.identifiers)
        for profile in simulation.truth().profiles
    )


def test_a_shared_device_makes_no_one_person_of_two() -> None:
    """It stays with whom it was seen first."""
    assert users_of_a_profile() == 1
    assert users_of_a_profile(shared_devices=25) == 1


def test_the_truth_is_known_at_the_end_only() -> None:
    """Households come to life on the way, so an early truth would be a part of it."""
    simulation = Simulation(Options(people=40))
    assert len(list(islice(simulation.entries(), 10))) == 10
    with pytest.raises(RuntimeError, match="every record"):
        simulation.truth()


def test_the_stream_is_lazy() -> None:
    """The first records come before most households have woken up."""
    simulation = Simulation(Options(people=200))
    stream = simulation.entries()
    next(stream)
    assert len(simulation._truth.profiles) < 20
    stream.close()  # type: ignore[attr-defined]


def test_the_demo_day_is_what_the_demo_needs() -> None:
    """Of a size that the embedded broker holds, all channels, many merges, abandoned carts early on."""
    simulation = Simulation(DEMO_DAY)
    for _ in simulation.entries():
        pass
    counts = simulation.truth().counts()
    assert 60_000 <= counts.touchpoints <= 80_000
    assert counts.channels.keys() == set(CHANNELS)
    cart_share = sum(n for event, n in counts.events.items() if event.startswith(CART_EVENTS))
    assert 0.2 <= cart_share / counts.touchpoints <= 0.25
    assert counts.merges > 200
    assert counts.abandoned > 500
    assert 0.2 < counts.recovered / counts.abandoned < 0.6
    assert first_due_ms(simulation) - DEMO_DAY.start_ms < 2 * HOUR_MS


def first_due_ms(simulation: Simulation) -> int:
    """When the first cart counts as abandoned."""
    return min(
        episode.abandonment.due_ms
        for profile in simulation.truth().profiles
        for episode in profile.episodes
        if episode.abandonment
    )


def test_people_do_what_people_do() -> None:
    """A day has purchases on the web, in the app and at the till, late logins, returns and emptied carts."""
    simulation = Simulation(Options(people=400, seed=2))
    bought = Counter(
        each.touchpoint.channel
        for each in simulation.entries()
        if each.touchpoint.event == "Order Completed" and not each.is_copy
    )
    statuses = Counter(
        episode.status for profile in simulation.truth().profiles for episode in profile.episodes
    )
    assert bought.keys() == {"web", "app", "pos"}
    assert statuses.keys() == {"purchased", "emptied", "open"}


@pytest.mark.parametrize(
    ("options", "named"),
    [
        ({"late_share": 1.5}, "late_share"),
        ({"hours": 0}, "hours"),
        ({"people": 3, "shared_devices": 2}, "shared_devices"),
        ({"late_share": 0.6, "out_of_order_share": 0.6}, "together"),
        ({"start": "yesterday"}, "yesterday"),
        ({"bots": -1}, "bots"),
    ],
)
def test_impossible_options_are_named(options: dict[str, object], named: str) -> None:
    """In words, before anything is simulated."""
    with pytest.raises(OptionsError, match=named):
        Options(**options)  # type: ignore[arg-type]
