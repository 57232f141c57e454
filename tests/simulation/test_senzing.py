"""Fictional people with a truth key: nobody is ever taken for somebody else, in any order of arrival.

Read in place: `senzing_truthset`, records of three sources about people and organisations, some of them relatives,
namesakes and neighbours. Each record is one touchpoint that shows what the source knows for sure.
"""

from __future__ import annotations

import csv
import json
from collections import defaultdict
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import combinations
from pathlib import Path
from typing import Any

import pytest

from streams.core.rules import Rules
from tests.oracle.rules import MINUTE_MS
from tests.oracle.worlds import START_MS
from tests.simulation.people import PARTITIONS, People, Seen, arrivals, people

pytestmark = pytest.mark.data

SharedData = Callable[[str], Path]

GOVERNMENT = ("ssn", "passport", "driver_licence", "national_id", "tax_id", "lei")
"""What an authority gives to one person or organisation, whole and with its country or state: at most one of each.

A number that is only a part (the last digits of a social security number), or one of nobody knows which country, says
who it may be, not who it is: that is no identifier.
"""
RANKS = (*GOVERNMENT, "email", "phone", "record")
"""An e-mail address and a phone are somebody's too, though a person has several; a home phone is a household's, so
it is no identifier. Nor is what relatives, neighbours and namesakes share: name, address, date of birth, employer.
`record` is the source's own key, so that a record with nothing else is somebody as well.
"""
RULES = Rules(ranks=RANKS, limits={**dict.fromkeys(GOVERNMENT, 1), "email": 5, "phone": 5})
COUNTRIES = {"USA": "US", "Germany": "DE", "Hong Kong": "HK", "China": "CN", "Texas": "TX"}
SSN_DIGITS = 9


@dataclass(frozen=True, slots=True)
class Entry:
    """A record of a source with the truth about it."""

    name: str
    cluster: str
    group: str
    features: Sequence[Mapping[str, str]]


def entries_of(folder: Path) -> list[Entry]:
    """All records, in the order of the file."""
    with (folder / "truth.csv").open(encoding="utf-8", newline="") as file:
        truth = {(row["DATA_SOURCE"], row["RECORD_ID"]): row for row in csv.DictReader(file)}
    entries = []
    for line in (folder / "records.jsonl").read_text("utf-8").splitlines():
        record: dict[str, Any] = json.loads(line)
        row = truth[record["DATA_SOURCE"], record["RECORD_ID"]]
        name = f"{record['DATA_SOURCE']} {record['RECORD_ID']}"
        entries.append(Entry(name, row["CLUSTER_ID"], row["TEST_GROUP"], record["FEATURES"]))
    assert len(entries) == len(truth)
    return entries


def identifiers_of(entry: Entry) -> dict[str, str]:
    """What the record shows for sure, by our types."""
    found = {"record": entry.name}
    for feature in entry.features:
        found.update(_identifiers(feature))
    return found


def _identifiers(feature: Mapping[str, str]) -> Iterator[tuple[str, str]]:
    if "EMAIL_ADDRESS" in feature:
        yield "email", feature["EMAIL_ADDRESS"].rpartition("<")[2].rstrip(">")
    if "PHONE_NUMBER" in feature and feature.get("PHONE_TYPE") != "HOME":
        yield "phone", _phone(feature["PHONE_NUMBER"])
    if "SSN_NUMBER" in feature and len(_digits(feature["SSN_NUMBER"])) == SSN_DIGITS:
        yield "ssn", _digits(feature["SSN_NUMBER"])
    for kind, number, place in (
        ("passport", "PASSPORT_NUMBER", "PASSPORT_COUNTRY"),
        ("driver_licence", "DRIVERS_LICENSE_NUMBER", "DRIVERS_LICENSE_STATE"),
        ("national_id", "NATIONAL_ID_NUMBER", "NATIONAL_ID_COUNTRY"),
        ("tax_id", "TAX_ID_NUMBER", "TAX_ID_COUNTRY"),
    ):
        if number in feature and feature.get(place):
            yield kind, f"{COUNTRIES.get(feature[place], feature[place])} {feature[number]}"
    if "LEI_NUMBER" in feature:
        yield "lei", feature["LEI_NUMBER"]


def _digits(text: str) -> str:
    return "".join(character for character in text if character.isdigit())


def _phone(number: str) -> str:
    """Digits; a North American number without the 1 that some write in front of it."""
    digits = _digits(number)
    return digits[1:] if len(digits) == 11 and digits.startswith("1") else digits


def seen_of(entries: Sequence[Entry], **more: str) -> list[Seen]:
    """A touchpoint of each record, a minute apart; `more` are identifiers that all of them show besides."""
    return [
        Seen(entry.name, START_MS + place * MINUTE_MS, {**identifiers_of(entry), **more}, "store")
        for place, entry in enumerate(entries)
    ]


def pairs_of(keyed: Mapping[str, str]) -> set[tuple[str, str]]:
    """Names, two and two, that have the same key."""
    return {(a, b) for a, b in combinations(sorted(keyed), 2) if keyed[a] == keyed[b]}


def mixed(found: People, entries: Sequence[Entry]) -> dict[str, set[str]]:
    """Profiles that hold records of more than one cluster."""
    clusters = defaultdict(set)
    for entry in entries:
        clusters[found.messages[entry.name]].add(entry.cluster)
    return {profile: held for profile, held in clusters.items() if len(held) > 1}


@pytest.mark.parametrize("partitions", PARTITIONS)
def test_nobody_is_taken_for_somebody_else(shared_data: SharedData, partitions: int) -> None:
    """No profile has records of two clusters, in any order; who is found to be one does not depend on the order."""
    entries = entries_of(shared_data("senzing_truthset"))
    true = pairs_of({entry.name: entry.cluster for entry in entries})
    told = set()
    for number, order in enumerate(arrivals(seen_of(entries), shuffles=8)):
        found = people(order, RULES, partitions=partitions, seed=number)
        assert not mixed(found, entries), f"order {number}"
        told.add(frozenset(pairs_of(found.messages)))
    [pairs] = told
    recall = len(pairs & true) / len(true)
    print(f"{len(entries)} records, {len(true)} true pairs: precision 1.0, recall {recall:.2f}")
    assert pairs <= true
    assert recall > 0.4


@pytest.mark.parametrize("partitions", PARTITIONS)
@pytest.mark.parametrize("shared", ["phone", "email"])
@pytest.mark.parametrize("kind", ["passport", "driver_licence", "national_id"])
def test_papers_keep_a_household_apart(
    shared_data: SharedData, kind: str, shared: str, partitions: int
) -> None:
    """Had all who show a paper of one kind the same phone or e-mail, those with different papers would stay apart."""
    entries = [e for e in entries_of(shared_data("senzing_truthset")) if kind in identifiers_of(e)]
    papers = {entry.name: identifiers_of(entry)[kind] for entry in entries}
    assert len(set(papers.values())) > 2
    household = seen_of(entries, **{shared: "household"})
    told = set()
    for number, order in enumerate(arrivals(household, shuffles=4)):
        found = people(order, replace(RULES, shared_profiles=0), partitions=partitions, seed=number)
        assert pairs_of(found.messages) == pairs_of(papers), f"order {number}"
        told.add(frozenset(found.groups()))
    assert len(told) == 1, "whose the household's is depends on the order of arrival"


def test_name_and_address_would_not_do(shared_data: SharedData) -> None:
    """The data is a trial: people of the same name live at the same address, and others share name and birthday."""
    entries = entries_of(shared_data("senzing_truthset"))
    for weak in (("NAME_FIRST", "NAME_LAST", "ADDR_LINE1"), ("NAME_LAST", "DATE_OF_BIRTH")):
        keyed = {}
        for entry in entries:
            merged = {name: value for feature in entry.features for name, value in feature.items()}
            if all(name in merged for name in weak):
                keyed[entry.name] = "\0".join(merged[name] for name in weak)
        clusters = {entry.name: entry.cluster for entry in entries}
        assert any(clusters[a] != clusters[b] for a, b in pairs_of(keyed)), weak
