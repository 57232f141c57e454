"""What the value of an identifier says: the form in which two spellings of one value are equal, or nobody."""

from __future__ import annotations

import re
from functools import lru_cache
from unicodedata import category, decimal, normalize

import idna
import phonenumbers as numbers

from tests.oracle.rules import DEFAULT, Rules

LONGEST = 512
NOBODY = "null (null) undefined nan none nil -1 n/a unknown anonymous guest test"
NOBODYS_ADDRESSES = "test@* noreply@* no-reply@* example@example.*"
NOBODYS_DEVICES = "9774d56d682e549c"
"""The Android id that whole series of telephones had."""


def usable_value(type_: str, value: str, rules: Rules = DEFAULT) -> str | None:
    """The identifying value in its one form; None for a value that names nobody."""
    return _usable_value(type_, value, rules.default_region, rules.drop_plus_tags, rules.blocked)


@lru_cache(maxsize=10_000)
def _usable_value(
    type_: str, value: str, region: str, drop_plus_tags: tuple[str, ...], blocked: tuple[str, ...]
) -> str | None:
    """Remembered: a world asks of each of its few values a thousand times, which was half of what a seed took."""
    rules = Rules(default_region=region, drop_plus_tags=drop_plus_tags, blocked=blocked)
    stripped = stripped_of_blanks(value)
    if "\0" in stripped or len(stripped) > LONGEST:
        return None
    found = in_one_form(type_, stripped, rules)
    return None if len(found) > LONGEST or names_nobody(type_, found, rules) else found


def in_one_form(type_: str, value: str, rules: Rules) -> str:
    """Addresses and numbers as their types want them, everything in NFC."""
    value = normalize("NFC", value)
    if type_ == "email":
        return address(value, rules)
    return number(value, rules) if type_ == "phone" else value


def names_nobody(type_: str, found: str, rules: Rules) -> bool:
    """Only zeros and dashes (or nothing at all), or what the list of the type has, in whatever case."""
    if set(found) <= {"0", "-"}:
        return True
    entries = [("", word) for word in NOBODY.split()]
    entries += [("email", pattern) for pattern in NOBODYS_ADDRESSES.split()]
    entries += [("device_id", pattern) for pattern in NOBODYS_DEVICES.split()]
    for entry in rules.blocked:
        before, colon, after = entry.partition(":")
        entries.append((before.strip(), after) if colon else ("", entry))
    wanted = [text for of, text in entries if of in ("", type_)]
    forms = [in_one_form(type_, stripped_of_blanks(text), rules).casefold() for text in wanted]
    return any(fits(found.casefold(), form) for form in forms)


def fits(text: str, pattern: str) -> bool:
    """`*` is anything, `?` one sign, everything else itself: the ends of the text that each part can lead to."""
    ends = {0}
    for sign in pattern:
        if sign == "*":
            ends = set(range(min(ends), len(text) + 1)) if ends else ends
        else:
            ends = {end + 1 for end in ends if end < len(text) and sign in ("?", text[end])}
    return len(text) in ends


def address(value: str, rules: Rules) -> str:
    """An address in lower case with its domain as DNS has it; a hash or other text in lower case."""
    value = normalize("NFC", value.lower())
    match = re.fullmatch(r"([^@]+)@([^@]+)", value, re.DOTALL)
    if match is None:
        return value
    name, domain = match[1], domain_of_dns(match[2])
    if {"*", domain} & {domain_of_dns(each.lower()) for each in rules.drop_plus_tags}:
        name = re.sub(r"(?s)(?<=.)\+.*", "", name) if name[0] != "+" else name
    return f"{name}@{domain}"


def domain_of_dns(domain: str) -> str:
    """Each label in ASCII; the domain as it is if a label has no such form."""
    if all(sign < "\x80" for sign in domain):
        return domain
    labels = re.split("[.\u3002\uff0e\uff61]", domain)
    try:
        return ".".join(e if e.isascii() else str(idna.encode(e, uts46=True), "ascii") for e in labels)
    except idna.IDNAError:
        return domain


def number(value: str, rules: Rules) -> str:
    """E.164 without extension; without separators what is no such number; empty if it has but one digit."""
    bare = normalize("NFC", "".join(digit_or_sign(sign) for sign in value if not separates(sign)))
    match = re.fullmatch(r"(\+?)([0-9]*)((?<=[0-9]);?(?i:extension|extn|ext|x|#)[:=]?[0-9]{1,7})?", bare)
    if match is None:
        return bare
    plus, digits = match[1], match[2]
    if digits.startswith("00") and not plus:
        plus, digits = "+", digits[2:]
    if len(set(digits)) < 2:
        return ""
    seen = [plus + digits]
    while (longer := e164(seen[-1], rules.default_region)) and longer not in seen:
        seen.append(longer)
    if len(seen) == 1 and e164(seen[0], rules.default_region) is None:
        return bare
    return seen[-1] if len(set(seen[-1][1:])) > 1 else ""


def e164(written: str, region: str) -> str | None:
    """What the library makes of it, if a number of this length can exist."""
    if not region and written[:1] != "+":
        return None
    try:
        parsed = numbers.parse(written, region or None)
    except numbers.NumberParseException:
        return None
    is_possible = numbers.is_possible_number_with_reason(parsed) == numbers.ValidationResult.IS_POSSIBLE
    return numbers.format_number(parsed, numbers.PhoneNumberFormat.E164) if is_possible else None


def separates(sign: str) -> bool:
    """Blanks, invisible signs, dashes, brackets, dots and slashes."""
    return is_blank(sign) or category(sign) in ("Pd", "Ps", "Pe") or sign in "./\uff0e\uff0f\u2212"


def digit_or_sign(sign: str) -> str:
    """Digits of every script, and the wide plus, in ASCII."""
    return str(decimal(sign)) if category(sign) == "Nd" else sign.replace("\uff0b", "+")


def is_blank(sign: str) -> bool:
    """White space, or a sign that nobody sees."""
    return sign.isspace() or category(sign) == "Cf"


def stripped_of_blanks(value: str) -> str:
    """Without blanks at its ends."""
    solid = [at for at, sign in enumerate(value) if not is_blank(sign)]
    return value[solid[0] : solid[-1] + 1] if solid else ""
