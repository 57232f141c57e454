"""Who may ask an embedded warehouse, and whether to change anything. Pure.

chDB knows one user; who is who is decided here, in front of it.
"""

from __future__ import annotations

import base64
import binascii
import hmac
from collections.abc import Mapping
from dataclasses import dataclass, field

from sinks.clickhouse.embedded.failure import refusal


@dataclass(frozen=True, slots=True)
class Credentials:
    """A user's name and password."""

    user: str
    password: str = field(repr=False)


@dataclass(frozen=True, slots=True)
class User:
    """Who asks. A reader changes nothing: no row, no table, no other user's statement."""

    name: str
    is_reader: bool = False


@dataclass(frozen=True, slots=True)
class Users:
    """The users of a warehouse: one who may do everything, and perhaps one who may read."""

    owner: Credentials
    reader: Credentials | None = None

    def __post_init__(self) -> None:
        """Raises ValueError for two users of one name, or a reader whom nobody needs a password to be."""
        if self.reader is None:
            return
        if self.reader.user == self.owner.user:
            raise ValueError(f"the reader needs a name of its own, not {self.owner.user!r}")
        if not self.reader.password:
            raise ValueError("the reader needs a password")

    def identify(self, parameters: Mapping[str, str], headers: Mapping[str, str]) -> User:
        """Who asks. Raises Refused (516) unless a user and the password are given, in any of three usual ways."""
        user, password = _claimed(parameters, headers)
        found = None
        for known, is_reader in ((self.owner, False), (self.reader, True)):
            if known is not None and _is_same(user, known.user) and _is_same(password, known.password):
                found = User(known.user, is_reader)
        if found is None:
            raise refusal(516, "Authentication failed: wrong user or password.", "AUTHENTICATION_FAILED")
        return found


def _is_same(given: str, expected: str) -> bool:
    return hmac.compare_digest(given.encode(), expected.encode())


def _claimed(parameters: Mapping[str, str], headers: Mapping[str, str]) -> tuple[str, str]:
    if "X-ClickHouse-User" in headers:
        return headers["X-ClickHouse-User"], headers.get("X-ClickHouse-Key", "")
    kind, _, encoded = headers.get("Authorization", "").partition(" ")
    if kind.lower() == "basic":
        try:
            user, _, password = base64.b64decode(encoded, validate=True).decode().partition(":")
        except (binascii.Error, UnicodeDecodeError):
            return "", ""
        return user, password
    return parameters.get("user", ""), parameters.get("password", "")
