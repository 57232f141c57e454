"""How an identifier's value is written, by type, and which values identify nobody.

The one place that knows: tasks, importer and queries all ask here. Must not know order, partitions or profiles. The
forms of phone numbers are those of Google's libphonenumber, domains those of UTS #46; another version of either library
may write a few values in another way.
"""

import re
import unicodedata
from collections.abc import Iterable, Sequence
from fnmatch import translate
from typing import Final

import idna
import phonenumbers

from streams.core.rules import Rules

MAX_LENGTH: Final = 512
"""Characters of a value. An identifier is a key in state and topics: longer ones identify nobody."""
MEMO_LIMIT: Final = 10_000
"""So many phone numbers are remembered as written: to parse one takes 45 µs, and a person's comes with many maps."""
BLOCKED: Final = (
    "null", "(null)", "undefined", "nan", "none", "nil", "-1", "n/a", "unknown", "anonymous", "guest", "test",
    "email:test@*", "email:noreply@*", "email:no-reply@*", "email:example@example.*",
    "device_id:9774d56d682e549c",
)  # fmt: skip
"""What trackers and tills write for nobody, beside nothing, zeros and dashes (the zero advertising id is such a one).

The device id is the one that Android 2.2 gave to whole series of telephones."""
EVERY_DOMAIN: Final = "*"

_INVISIBLE: Final = "Cf"
_SEPARATORS: Final = (_INVISIBLE, "Pd", "Ps", "Pe")
_MORE_SEPARATORS: Final = "./．／−"
_NUMBER: Final = re.compile(r"\+?[0-9]*")
_EXTENSION: Final = re.compile(r"(?<=[0-9]);?(?:ext(?:n|ension)?|x|#)[:=]?[0-9]{1,7}\Z", re.IGNORECASE)
_DOT: Final = re.compile("[.。．｡]")
_WILD: Final = re.compile(r"[*?]")


class NoIdentifier(ValueError):
    """What somebody typed is no identifier; the text says what would be one."""


class Normaliser:
    """The rules put to work; `rules.blocked` comes on top of BLOCKED. Raises ValueError on an entry without sense."""

    __slots__ = ("_drops_all_tags", "_nobody", "_phones", "_region", "_tagged_domains")

    def __init__(self, rules: Rules) -> None:
        self._region = rules.default_region or None
        self._phones: dict[str, str] = {}
        self._drops_all_tags = EVERY_DOMAIN in rules.drop_plus_tags
        self._tagged_domains = frozenset(_ascii_domain(domain.lower()) for domain in rules.drop_plus_tags)
        entries = [_split(entry) for entry in BLOCKED]
        entries += [checked(entry, rules.ranks) for entry in rules.blocked]
        self._nobody = {kind: self._nobody_of(kind, entries) for kind in rules.ranks}

    def identifier(self, kind: str, value: str) -> str | None:
        """The identifier `kind:value`, or None: the value identifies nobody. Raises KeyError on an unranked kind."""
        text = _trimmed(value)
        if len(text) > MAX_LENGTH or "\0" in text:
            return None
        written = self._written(kind, text)
        if len(written) > MAX_LENGTH or self._is_nobody(kind, written):
            return None
        return f"{kind}:{written}"

    def typed(self, text: str) -> str:
        """The identifier meant by `type:value`, as it stands in state and outputs. Raises NoIdentifier."""
        kind, colon, value = text.partition(":")
        kind = kind.strip().lower()
        if not colon or kind not in self._nobody:
            kinds = ", ".join(self._nobody)
            raise NoIdentifier(f"{text[:80]!r} is no identifier; write type:value, type being one of {kinds}")
        identifier = self.identifier(kind, value)
        if identifier is None:
            raise NoIdentifier(
                f"{value.strip()[:80]!r} identifies nobody: it stands for no value, is in identity.blocked, or has "
                f"more than {MAX_LENGTH} characters"
            )
        return identifier

    def _written(self, kind: str, text: str) -> str:
        """A trimmed value in the form of its type."""
        if kind == "email":
            return self._email(_composed(text))
        if kind != "phone":
            return _composed(text)
        known = self._phones.get(text)
        if known is None:
            if len(self._phones) >= MEMO_LIMIT:
                self._phones.clear()
            known = self._phones[text] = self._phone(_composed(text))
        return known

    def _email(self, text: str) -> str:
        """In lower case, the domain in ASCII, without a tag where tags are dropped.

        What is no address (not exactly one @, or nothing on one side of it) stays text, in lower case: producers
        send hashes of addresses under this type too, and those identify.
        """
        lowered = _composed(text.lower())
        name, at, domain = lowered.partition("@")
        if not name or not domain or "@" in domain:
            return lowered
        domain = _ascii_domain(domain)
        if self._drops_all_tags or domain in self._tagged_domains:
            # A name that is all tag has nothing else to be told by.
            name = name.partition("+")[0] or name
        return name + at + domain

    def _phone(self, text: str) -> str:
        """E.164, without an extension, or the text without separators if it is no possible number; empty: nobody.

        A number without + or 00 needs the default region.
        """
        compact = _without_separators(text)
        number = _EXTENSION.sub("", compact)
        if not _NUMBER.fullmatch(number):
            return compact
        if number.startswith("00"):
            number = "+" + number[2:]
        found = _international(number, self._region)
        if _is_one_digit(number) or (found is not None and _is_one_digit(found)):
            return ""
        return found or compact

    def _nobody_of(
        self, kind: str, entries: Iterable[tuple[str | None, str]]
    ) -> tuple[frozenset[str], re.Pattern[str] | None]:
        """Values of a type that identify nobody, and the pattern of further ones, as such values are written."""
        found = {
            self._written(kind, _trimmed(value)).casefold() for of, value in entries if of in (None, kind)
        }
        globs = sorted(value for value in found if _WILD.search(value))
        # Only * and ? are wild: a bracket stands for itself.
        pattern = "|".join(translate(glob.replace("[", "[[]")) for glob in globs)
        return frozenset(found.difference(globs)), re.compile(pattern) if globs else None

    def _is_nobody(self, kind: str, written: str) -> bool:
        values, pattern = self._nobody[kind]
        folded = written.casefold()
        if folded in values or not folded.strip("0-"):
            return True
        return pattern is not None and pattern.fullmatch(folded) is not None


def identifier_of(text: str, rules: Rules) -> str:
    """The identifier somebody means who types `type:value`, as it stands in state and outputs. Raises NoIdentifier."""
    return Normaliser(rules).typed(text)


def checked(entry: str, kinds: Sequence[str]) -> tuple[str | None, str]:
    """(type or None for every one, value or pattern) of an entry of `identity.blocked`. Raises ValueError."""
    kind, value = _split(entry)
    if kind is not None and kind not in kinds:
        raise ValueError(
            f"{entry!r}: {kind!r} is no identifier type; write type:value with a type of identity.ranks "
            f"({', '.join(kinds)}), or a value alone for all of them"
        )
    if not value:
        raise ValueError(f"{entry!r} has no value; leave it out, nothing identifies nobody anyway")
    if not value.strip("*?"):
        raise ValueError(f"{entry!r} blocks everybody; to do without a type, take it out of identity.ranks")
    return kind, value


def _split(entry: str) -> tuple[str | None, str]:
    kind, colon, value = entry.partition(":")
    return (kind.strip(), _trimmed(value)) if colon else (None, _trimmed(entry))


def _trimmed(text: str) -> str:
    """Without white space and invisible characters (byte order mark, zero width, …) at its ends."""
    text = text.strip()
    if text.isascii():
        return text
    start, end = 0, len(text)
    while start < end and _is_margin(text[start]):
        start += 1
    while end > start and _is_margin(text[end - 1]):
        end -= 1
    return text[start:end]


def _is_margin(character: str) -> bool:
    return character.isspace() or unicodedata.category(character) == _INVISIBLE


def _composed(text: str) -> str:
    """In Unicode's form NFC, in which one text has one spelling."""
    return text if text.isascii() else unicodedata.normalize("NFC", text)


def _ascii_domain(domain: str) -> str:
    """The domain as DNS knows it (UTS #46); one that cannot be, as it stands."""
    if domain.isascii():
        return domain
    try:
        # One by one: other labels may have signs that only DNS allows, or that are wild in a pattern.
        return ".".join(label if label.isascii() else _ascii_label(label) for label in _DOT.split(domain))
    except UnicodeError:
        return domain


def _ascii_label(label: str) -> str:
    return idna.encode(label, uts46=True).decode("ascii")


def _without_separators(text: str) -> str:
    """Without white space, dashes, dots, brackets, slashes and invisible characters; digits of any script in ASCII."""
    if text.isascii():
        return text.translate(_ASCII_SEPARATORS)
    kept = (character for character in text if not _is_separator(character))
    return _composed("".join(_ascii_digit(character) for character in kept))


def _is_separator(character: str) -> bool:
    return (
        character.isspace() or character in _MORE_SEPARATORS or unicodedata.category(character) in _SEPARATORS
    )


def _ascii_digit(character: str) -> str:
    if character.isdecimal():
        return str(unicodedata.decimal(character))
    return "+" if character == "＋" else character


_ASCII_SEPARATORS: Final = {code: None for code in range(128) if _is_separator(chr(code))}


def _is_one_digit(number: str) -> bool:
    """0000000 and 1111111 fill a field that must not be empty; so does a + alone."""
    return len(set(number.removeprefix("+"))) <= 1


def _international(number: str, region: str | None) -> str | None:
    """The number in E.164, or None if there can be no such number. Shorter than usual inside a place is not enough."""
    found = _e164(number, region)
    if found is None or found == number:
        return found
    # Of several zeros before the area code the library takes one at a time.
    again = _e164(found, None)
    while again is not None and len(again) < len(found):
        found, again = again, _e164(again, None)
    return found


def _e164(number: str, region: str | None) -> str | None:
    if region is None and not number.startswith("+"):
        return None
    try:
        parsed = phonenumbers.parse(number, region)
    except phonenumbers.NumberParseException:
        return None
    possible = phonenumbers.is_possible_number_with_reason(parsed)
    if possible != phonenumbers.ValidationResult.IS_POSSIBLE:
        return None
    return phonenumbers.format_number(parsed, phonenumbers.PhoneNumberFormat.E164)
