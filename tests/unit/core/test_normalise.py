"""How values are written, type by type, and which identify nobody."""

from __future__ import annotations

import sys
from dataclasses import replace

import pytest

from streams.core.normalise import MAX_LENGTH, NoIdentifier, Normaliser, identifier_of
from streams.core.rules import Rules

RULES = Rules()
GERMAN = Rules(default_region="DE")
COMBINED, APART = "caf\N{LATIN SMALL LETTER E WITH ACUTE}", "cafe\N{COMBINING ACUTE ACCENT}"
BOM, ZERO_WIDTH, NO_BREAK = "\ufeff", "\u200b", "\u00a0"


def written(kind: str, value: str, rules: Rules = RULES) -> str | None:
    """The value as it is written, or None."""
    identifier = Normaliser(rules).identifier(kind, value)
    return identifier and identifier.removeprefix(f"{kind}:")


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        (" Ann@Shop.EXAMPLE\n", "ann@shop.example"),
        ("user@BÜCHER.example", "user@xn--bcher-kva.example"),
        ("user@xn--bcher-kva.example", "user@xn--bcher-kva.example"),
        ("user@XN--BCHER-KVA.example", "user@xn--bcher-kva.example"),
        ("user@bu\N{COMBINING DIAERESIS}cher.example", "user@xn--bcher-kva.example"),
        ("user@my_shop.bücher.example", "user@my_shop.xn--bcher-kva.example"),
        ("user@bücher。example", "user@xn--bcher-kva.example"),
        ("Jürgen@shop.example", "jürgen@shop.example"),
        ("ann+shop@shop.example", "ann+shop@shop.example"),
        ("User@\N{SNOWMAN}.example", "user@\N{SNOWMAN}.example"),
        ("user@" + "Ü" * 70 + ".example", "user@" + "ü" * 70 + ".example"),
        ("0123456789ABCDEF", "0123456789abcdef"),
        ("ann@home@Shop.example", "ann@home@shop.example"),
        ("@Shop.example", "@shop.example"),
        ("Ann@", "ann@"),
    ],
)
def test_an_address_is_in_lower_case_with_its_domain_in_ascii(value: str, expected: str) -> None:
    """What is no address, or has a domain that cannot be, stays text in lower case: never a failure."""
    assert written("email", value) == expected


@pytest.mark.parametrize(
    ("value", "domains", "expected"),
    [
        ("ann+shop@gmail.com", ("gmail.com",), "ann@gmail.com"),
        ("ann+shop+more@gmail.com", ("gmail.com",), "ann@gmail.com"),
        ("ann+shop@shop.example", ("gmail.com",), "ann+shop@shop.example"),
        ("ann+shop@shop.example", ("*",), "ann@shop.example"),
        ("ann+shop@xn--bcher-kva.example", ("Bücher.example",), "ann@xn--bcher-kva.example"),
        ("+shop@gmail.com", ("*",), "+shop@gmail.com"),
        ("ann+shop", ("*",), "ann+shop"),
    ],
)
def test_tags_are_dropped_where_that_is_asked_for(
    value: str, domains: tuple[str, ...], expected: str
) -> None:
    """At the domains of the rule, or at all; a name that is all tag keeps it."""
    assert written("email", value, replace(RULES, drop_plus_tags=domains)) == expected


@pytest.mark.parametrize(
    "value",
    [
        "+49 (0)30 123456",
        "0049 30 123456",
        "+4930123456",
        "+49-30-12.34.56",
        " +49 30/123456 ext. 7",
        "+4930123456;ext=7",
        "+49 30 123456 x7",
        "\u202a+49\u00a030\u2013123456\u202c",
        "＋４９ ３０ １２３４５６",
        "+٤٩ ٣٠ ١٢٣٤٥٦",
        "+49 00 30 123456",
    ],
)
def test_one_number_has_one_form_however_it_is_typed(value: str) -> None:
    """E.164, whatever stands between the digits, with a region or without."""
    assert (written("phone", value), written("phone", value, GERMAN)) == ("+4930123456", "+4930123456")


@pytest.mark.parametrize(
    ("value", "region", "expected"),
    [
        ("030 123456", "DE", "+4930123456"),
        ("(030) 123456 #7", "DE", "+4930123456"),
        ("030 123456", "", "030123456"),
        ("011 49 30 123456", "US", "+4930123456"),
        ("(201) 555-0123", "US", "+12015550123"),
        ("06 1234 5678", "IT", "+390612345678"),
        ("555-0123", "US", "5550123"),
        ("+49", "DE", "+49"),
        ("+999 123456", "DE", "+999123456"),
        ("12", "DE", "12"),
        ("+49 30 123456 or 7", "DE", "+4930123456or7"),
        ("9F86-D081 884c", "DE", "9F86D081884c"),
        ("30 x 7", "", "30x7"),
    ],
)
def test_a_region_makes_national_numbers_international(value: str, region: str, expected: str) -> None:
    """What can be no number of that length anywhere, or is one only inside a town, loses its separators alone."""
    assert written("phone", value, Rules(default_region=region)) == expected


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        (" X7 ", "X7"),
        (f"{BOM}{ZERO_WIDTH} X7{NO_BREAK}\u2060\t", "X7"),
        (f"a{ZERO_WIDTH}b", f"a{ZERO_WIDTH}b"),
        (APART, COMBINED),
        ("0x", "0x"),
        ("-10", "-10"),
        ("a:b", "a:b"),
        ("[a-z]*", "[a-z]*"),
    ],
)
@pytest.mark.parametrize("kind", ["user_id", "loyalty_id", "device_id", "anonymous_id"])
def test_other_values_keep_their_case(kind: str, value: str, expected: str) -> None:
    """Trimmed of what nobody sees, in NFC, and nothing else."""
    assert written(kind, value) == expected


def test_every_white_space_is_trimmed() -> None:
    """Whatever Unicode calls white space or invisible may stand around a value."""
    spaces = [character for character in map(chr, range(sys.maxunicode + 1)) if character.isspace()]
    assert {written("user_id", f"{space}x{space}") for space in spaces} == {"x"}


@pytest.mark.parametrize("kind", RULES.ranks)
@pytest.mark.parametrize(
    "value",
    [
        *(
            "",
            "  ",
            "null",
            "(null)",
            "undefined",
            "NaN",
            "None",
            "nil",
            "-1",
            "0",
            "N/A",
            "Unknown",
            "anonymous",
        ),
        *(
            "Guest",
            "TEST",
            "000",
            "--",
            "0-0",
            "00000000-0000-0000-0000-000000000000",
            f"{BOM}null{ZERO_WIDTH}",
        ),
    ],
)
def test_what_stands_for_no_value_identifies_nobody(kind: str, value: str) -> None:
    """Of every type, in every case, with blanks around it."""
    assert written(kind, f" {value} ") is None


@pytest.mark.parametrize(
    ("kind", "value", "other"),
    [
        ("email", "Test@shop.example", "tested@shop.example"),
        ("email", "noreply@shop.example", "noreply"),
        ("email", "No-Reply@shop.example", "no.reply@shop.example"),
        ("email", "example@example.com", "example@shop.example"),
        ("phone", "1111111", "1111112"),
        ("phone", "+1 (111) 111-1111", "+1 (111) 111-1112"),
        ("phone", "+", "+1 2"),
        ("device_id", "9774D56D682E549C", "9774d56d682e549d"),
    ],
)
def test_some_values_identify_nobody_under_one_type(kind: str, value: str, other: str) -> None:
    """Addresses of tests and machines, numbers of one digit, an id that a series of telephones shares."""
    assert (written(kind, value), written("user_id", value) is None) == (None, False)
    assert written(kind, other) is not None


def test_a_number_of_one_digit_is_blocked_before_a_region_makes_more_of_it() -> None:
    """1111111 could be a number in Berlin; it is what people type into a field they have to fill."""
    assert written("phone", "1111111", GERMAN) is None
    assert written("phone", "0444444444", Rules(default_region="GB")) is None


@pytest.mark.parametrize(
    ("entry", "kind", "value"),
    [
        ("Till 7", "user_id", " till 7"),
        ("till*", "anonymous_id", "TILL-12"),
        ("email:Till@Bücher.example", "email", "till@xn--bcher-kva.example"),
        ("email:*@Bücher.example", "email", "ann@xn--bcher-kva.example"),
        ("email:till?@shop.example", "email", "till7@shop.example"),
        ("phone:030 123456", "phone", "+49 30 123456"),
        ("phone:+49 30*", "phone", "030 999999"),
        ("user_id:[a-z]*", "user_id", "[a-z]7"),
        ("user_id:a*b", "user_id", "a\nb"),
    ],
)
def test_settings_block_more(entry: str, kind: str, value: str) -> None:
    """A value of any type, of one type, or a pattern, compared with values as they are written."""
    assert written(kind, value, replace(GERMAN, blocked=("other", entry))) is None
    assert written(kind, value, GERMAN) is not None


@pytest.mark.parametrize(
    ("entry", "kind", "value"),
    [
        ("user_id:till", "anonymous_id", "till"),
        ("user_id:till", "user_id", "till7"),
        ("user_id:till?", "user_id", "till"),
        ("user_id:[a-z]*", "user_id", "b7"),
        ("email:till@*", "email", "untill@shop.example"),
    ],
)
def test_settings_block_no_more_than_they_say(entry: str, kind: str, value: str) -> None:
    """Another type, a longer value, a bracket that is no class."""
    assert written(kind, value, Rules(blocked=(entry,))) == value


@pytest.mark.parametrize(
    ("entry", "said"),
    [
        ("colour:red", "'colour' is no identifier type; write type:value with a type of identity.ranks"),
        ("email:", "'email:' has no value"),
        (" ", "' ' has no value"),
        ("email:*", "blocks everybody"),
        ("*?", "blocks everybody"),
    ],
)
def test_an_entry_without_sense_is_refused(entry: str, said: str) -> None:
    """Rather than block nobody, or everybody."""
    with pytest.raises(ValueError, match=said):
        Normaliser(Rules(blocked=(entry,)))


def test_what_is_blocked_by_default_needs_no_such_type() -> None:
    """A shop without e-mails among its types is no mistake."""
    assert written("user_id", "7", Rules(ranks=("user_id",))) == "7"


def test_a_value_has_512_characters_at_most() -> None:
    """An identifier is a key; blanks around it do not count, what its form adds does."""
    assert written("user_id", " " + "x" * MAX_LENGTH + " ") == "x" * MAX_LENGTH
    assert written("user_id", "x" * (MAX_LENGTH + 1)) is None
    assert written("phone", "+49 30 1" + "-" * MAX_LENGTH + "23456") is None
    long_when_written = "x" * (MAX_LENGTH - 9) + "@ü.example"
    assert (len(long_when_written) > MAX_LENGTH, written("email", long_when_written[1:])) == (True, None)


def test_a_zero_byte_identifies_nobody() -> None:
    """State has keys of its own behind one."""
    assert [written(kind, "a\0b") for kind in RULES.ranks] == [None] * len(RULES.ranks)


def test_somebody_types_an_identifier_as_a_producer_writes_it() -> None:
    """A question is about what is in state and outputs, however its value is spelt."""
    assert identifier_of(" Email: Ann@BÜCHER.example ", RULES) == "email:ann@xn--bcher-kva.example"
    assert identifier_of("phone:030 123456", GERMAN) == "phone:+4930123456"
    assert identifier_of("user_id:a:b", RULES) == "user_id:a:b"


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("ann@shop.example", "write type:value, type being one of user_id, loyalty_id, email"),
        ("colour:red", "'colour:red' is no identifier"),
        ("email: NULL ", "'NULL' identifies nobody"),
    ],
)
def test_what_is_no_identifier_is_said(text: str, said: str) -> None:
    """A type, a colon, and a value that identifies somebody."""
    with pytest.raises(NoIdentifier, match=said):
        identifier_of(text, RULES)
