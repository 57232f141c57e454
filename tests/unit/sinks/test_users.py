"""Who asks is told from who may not ask."""

from __future__ import annotations

import base64

import pytest

from sinks.clickhouse.embedded.failure import Refused
from sinks.clickhouse.embedded.users import Credentials, User, Users

USERS = Users(Credentials("ann", "secret"), Credentials("bea", "other"))
BASIC = "Basic " + base64.b64encode(b"ann:secret").decode()


@pytest.mark.parametrize(
    ("parameters", "headers"),
    [
        ({}, {"X-ClickHouse-User": "ann", "X-ClickHouse-Key": "secret"}),
        ({}, {"Authorization": BASIC}),
        ({"user": "ann", "password": "secret"}, {}),
    ],
)
def test_three_ways_to_say_who_asks(parameters: dict[str, str], headers: dict[str, str]) -> None:
    """Headers, basic authentication and parameters are as good as each other."""
    assert USERS.identify(parameters, headers) == User("ann")


def test_reader_is_known_as_one() -> None:
    """By name and password, as the owner is."""
    assert USERS.identify({"user": "bea", "password": "other"}, {}) == User("bea", is_reader=True)


@pytest.mark.parametrize(
    ("parameters", "headers"),
    [
        ({}, {}),
        ({"user": "ann"}, {}),
        ({"user": "ann", "password": "SECRET"}, {}),
        ({"user": "bea", "password": "secret"}, {}),
        ({"user": "ann", "password": "other"}, {}),
        ({"user": "ann", "password": "secret"}, {"X-ClickHouse-User": "bob"}),
        ({}, {"Authorization": "Basic ???"}),
        ({}, {"Authorization": BASIC.replace("Basic", "Bearer")}),
    ],
)
def test_everybody_else_is_refused(parameters: dict[str, str], headers: dict[str, str]) -> None:
    """No default user, no empty or foreign password, and headers are not overruled by parameters."""
    with pytest.raises(Refused) as refused:
        USERS.identify(parameters, headers)
    assert (refused.value.code, refused.value.status) == (516, 403)
    assert "secret" not in refused.value.message.lower().replace("password", "")


@pytest.mark.parametrize("reader", [Credentials("ann", "x"), Credentials("bea", "")])
def test_reader_needs_a_name_and_a_password(reader: Credentials) -> None:
    """One name is one user, and no password is no user."""
    with pytest.raises(ValueError, match="reader needs"):
        Users(Credentials("ann", "secret"), reader)
