"""What clients send is understood, and who may not is told so."""

from __future__ import annotations

import base64
import gzip

import lz4.frame
import pytest
import zstandard

from sinks.clickhouse.embedded.failure import Refused
from sinks.clickhouse.embedded.request import Credentials, Encoder, check, decoded, query_of

USER = Credentials("ann", "secret")
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
    check(USER, parameters, headers=headers)


@pytest.mark.parametrize(
    ("parameters", "headers"),
    [
        ({}, {}),
        ({"user": "ann"}, {}),
        ({"user": "ann", "password": "SECRET"}, {}),
        ({"user": "ann", "password": "secret"}, {"X-ClickHouse-User": "bob"}),
        ({}, {"Authorization": "Basic ???"}),
        ({}, {"Authorization": BASIC.replace("Basic", "Bearer")}),
    ],
)
def test_everybody_else_is_refused(parameters: dict[str, str], headers: dict[str, str]) -> None:
    """No default user, no empty password, and headers are not overruled by parameters."""
    with pytest.raises(Refused) as refused:
        check(USER, parameters, headers=headers)
    assert (refused.value.code, refused.value.status) == (516, 403)
    assert "secret" not in refused.value.message.lower().replace("password", "")


def test_parameters_are_the_interfaces_the_statements_or_settings() -> None:
    """What is not known and not `param_…` is a setting of the engine."""
    sent = {
        "query": "SELECT {x:Int8}",
        "param_x": "1",
        "max_threads": "2",
        "database": "d",
        "session_id": "s",
    }
    query = query_of(sent, b"", headers={}, is_get=True)
    assert (query.sql, query.database, query.session_id) == (b"SELECT {x:Int8}", "d", "s")
    assert query.settings == {"max_threads": "2"}
    assert query.parameters == {"x": "1"}
    assert query.is_read_only


@pytest.mark.parametrize(
    "sent", [{"max_threads = 1, readonly": "0"}, {"decompress": "1"}, {"compress": "1"}, {"a b": "1"}]
)
def test_what_cannot_be_done_is_refused(sent: dict[str, str]) -> None:
    """A setting's name cannot smuggle another one; missing features say so."""
    with pytest.raises(Refused):
        query_of(sent, b"", headers={}, is_get=False)


@pytest.mark.parametrize(
    ("encoding", "body"),
    [
        ("", b"abc"),
        ("gzip", gzip.compress(b"abc", mtime=0)),
        ("lz4", lz4.frame.compress(b"abc")),
        ("zstd", zstandard.ZstdCompressor().compress(b"abc")),
    ],
)
def test_bodies_are_decoded(encoding: str, body: bytes) -> None:
    """Every Content-Encoding that clients of ClickHouse use."""
    assert decoded(body, encoding) == b"abc"


@pytest.mark.parametrize(
    ("encoding", "body"), [("gzip", b"no"), ("zstd", b"no"), ("lz4", b"no"), ("br", b"")]
)
def test_broken_bodies_are_refused(encoding: str, body: bytes) -> None:
    """A broken or unknown encoding is the client's mistake, not ours."""
    with pytest.raises(Refused) as refused:
        decoded(body, encoding)
    assert refused.value.code in (89, 354)


@pytest.mark.parametrize(
    ("accepted", "name"), [("br, gzip", "gzip"), ("zstd;q=1", "zstd"), ("", ""), ("br", "")]
)
def test_answers_are_encoded_as_accepted(accepted: str, name: str) -> None:
    """The first encoding we know; none is fine."""
    encoder = Encoder(accepted)
    sent = encoder.encode(b"a" * 1000) + encoder.encode(b"b") + encoder.finish()
    assert encoder.name == name
    assert decoded(sent, name) == b"a" * 1000 + b"b"
