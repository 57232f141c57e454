"""What is declared of a range is read again as it was, and fits into the metadata of an offset."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sinks.clickhouse.declared import METADATA_BYTES, MOST_TOGETHER, Declared, Range

RANGES = st.tuples(st.integers(0, 4_000), st.integers(0, 2**62), st.integers(0, 10**6)).map(
    lambda of: (of[0], of[1], of[1] + of[2])
)


@given(
    st.integers(0, 2**62),
    st.lists(st.integers(1, 10**6), max_size=200),
    st.booleans(),
    st.lists(RANGES, max_size=5),
)
def test_what_is_declared_is_read_again(
    start: int, steps: list[int], is_apart: bool, together: list[Range]
) -> None:
    """Whatever the offsets, the first of them at the start of the range included."""
    without, at = [], start
    for step in steps:
        without.append(at)
        at += step
    declared = Declared(at + 1, tuple(without), is_apart=is_apart, together=tuple(together))
    assert Declared.parse(declared.text(start), start) == declared


@pytest.mark.parametrize("text", [None, "", "somebody else's"])
def test_other_metadata_declare_nothing(text: str | None) -> None:
    """An offset committed after its range, or by another program."""
    assert Declared.parse(text, 5) is None


def test_it_reads_as_it_did_before_there_were_dead_letters() -> None:
    """A range that an earlier version had declared; and written so where nothing is left out."""
    assert Declared.parse("pending:12", 5) == Declared(12)
    assert Declared(12).text(5) == "pending:12"
    assert Declared(12, (5, 9, 10), is_apart=True).text(5) == "pending:12;apart;without=0,4,1"


def test_as_many_ranges_as_land_together_fit() -> None:
    """Into what a broker takes as metadata, wherever the ranges are."""
    most = [(9_999, 2**63 - 1_000_000, 2**63 - 1)] * MOST_TOGETHER
    assert len(Declared(2**63 - 1, together=tuple(most)).text(2**63 - 1_000_000)) <= METADATA_BYTES


def test_what_a_later_version_has_declared_is_not_guessed() -> None:
    """Landing it otherwise than it was begun would double rows."""
    with pytest.raises(ValueError, match="later version"):
        Declared.parse("pending:12;otherwise", 5)
