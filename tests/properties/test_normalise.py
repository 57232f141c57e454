"""Laws of how values are written, whatever a producer sends."""

from __future__ import annotations

from hypothesis import given, settings
from hypothesis import strategies as st

from streams.core.normalise import BLOCKED, Normaliser
from streams.core.rules import RANKS, Rules
from tests.oracle.rules import Rules as OracleRules
from tests.oracle.values import usable_value

ASCII = st.characters(min_codepoint=33, max_codepoint=126)
BLANKS = st.text(" \t\n\u00a0\u200b\u2060\ufeff", max_size=3)
NUMBERS = st.text("0123456789+00() -./x\u2013٣３＋", max_size=18)
PREFIXES = ("+49", "0049", "+49 (0)", "0", "+54 9", "+39", "+1", "+44", "+62", "")
ZEROS = st.text("0", max_size=3)
ADDRESSES = st.from_regex(
    r"[a-zA-Z0-9.+ßÜé]{0,6}@[a-zA-Z0-9üÉ.。_-]{0,8}\.(com|example|ÜB|コム)", fullmatch=True
)
VALUES = st.one_of(
    st.text(max_size=20),
    NUMBERS,
    st.builds(
        "{}{}{}".format, st.sampled_from(PREFIXES), ZEROS, st.text("0123456789", min_size=5, max_size=11)
    ),
    ADDRESSES,
    st.sampled_from(BLOCKED).map(lambda entry: entry.partition(":")[2].replace("*", "x.y") or entry),
)
SETTINGS = st.fixed_dictionaries(
    {
        "default_region": st.sampled_from(["", "", "DE", "US", "IT", "AR", "GB"]),
        "drop_plus_tags": st.sampled_from([(), ("*",), ("a.example", "b.com")]),
        "blocked": st.sampled_from([(), ("a*", "phone:+49?1*", "email:*@ü*", "user_id:Till 7")]),
    }
)


def a_rule(**said: object) -> tuple[Rules, OracleRules]:
    """The same rules for both."""
    return Rules(**said), OracleRules(**said)  # type: ignore[arg-type] # drawn as the fields are


@given(st.sampled_from(RANKS), VALUES, SETTINGS)
@settings(max_examples=500)
def test_a_value_is_written_as_the_oracle_says(kind: str, value: str, said: dict[str, object]) -> None:
    """Two implementations that share nothing but their libraries."""
    rules, oracle_rules = a_rule(**said)
    expected = usable_value(kind, value, oracle_rules)
    assert Normaliser(rules).identifier(kind, value) == (None if expected is None else f"{kind}:{expected}")


@given(st.sampled_from(RANKS), VALUES, SETTINGS)
@settings(max_examples=500)
def test_writing_a_written_value_changes_nothing(kind: str, value: str, said: dict[str, object]) -> None:
    """What outputs say can be asked for, and sent in again, as it is."""
    normaliser = Normaliser(a_rule(**said)[0])
    once = normaliser.identifier(kind, value)
    if once is not None:
        assert normaliser.identifier(kind, once.partition(":")[2]) == once


@given(st.text(ASCII, max_size=20), BLANKS, BLANKS, SETTINGS)
def test_an_address_has_no_case_and_no_blanks(
    value: str, before: str, after: str, said: dict[str, object]
) -> None:
    """Shouted or pasted with a byte order mark, it is the same address."""
    normaliser = Normaliser(a_rule(**said)[0])
    wanted = normaliser.identifier("email", value)
    for spelt in (value.upper(), value.lower(), value.swapcase()):
        assert normaliser.identifier("email", before + spelt + after) == wanted


@given(st.sampled_from(RANKS), VALUES, BLANKS, BLANKS, SETTINGS)
def test_who_is_nobody_stays_nobody(
    kind: str, value: str, before: str, after: str, said: dict[str, object]
) -> None:
    """A blocked value identifies nobody in any case and with any blanks around it."""
    normaliser = Normaliser(a_rule(**said)[0])
    if value.isascii() and normaliser.identifier(kind, value) is None:
        for spelt in (value, value.upper(), value.lower(), value.swapcase()):
            assert normaliser.identifier(kind, before + spelt + after) is None
