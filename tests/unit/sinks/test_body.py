"""Bodies come apart as they were put together, however they are cut, and never pass for whole when they are not."""

from __future__ import annotations

import gzip
import os
import random
import zlib
from collections.abc import Callable, Iterator

import lz4.block
import lz4.frame
import pytest
import zstandard

from sinks.clickhouse.embedded.blocks import stored, unpacked
from sinks.clickhouse.embedded.body import HEAD_BYTES, Body, decoded
from sinks.clickhouse.embedded.cityhash import cityhash128
from sinks.clickhouse.embedded.encoding import Encoder
from sinks.clickhouse.embedded.failure import Refused

ENCODERS: dict[str, Callable[[bytes], bytes]] = {
    "": bytes,
    "gzip": lambda text: gzip.compress(text, mtime=0),
    "deflate": zlib.compress,
    "lz4": lz4.frame.compress,
    "zstd": zstandard.ZstdCompressor().compress,
}


def cut(text: bytes, chance: random.Random) -> Iterator[bytes]:
    """In pieces of any size, as a network delivers it."""
    at = 0
    while at < len(text):
        size = chance.choice((1, 7, 100, 5_000, 1 << 17))
        yield text[at : at + size]
        at += size


def random_text(chance: random.Random, size: int) -> bytes:
    """Half of it compressible."""
    return chance.randbytes(size // 2) + b"again " * (size // 12)


@pytest.mark.parametrize("encoding", ENCODERS)
def test_bodies_are_decoded_however_they_are_cut(encoding: str, seed: int) -> None:
    """Every Content-Encoding that clients of ClickHouse use; two streams behind each other are one body."""
    chance = random.Random(seed)
    first, second = random_text(chance, 200_000), random_text(chance, 300)
    sent = ENCODERS[encoding](first) + ENCODERS[encoding](second)
    assert b"".join(decoded(cut(sent, chance), encoding)) == first + second


@pytest.mark.parametrize("encoding", [name for name in ENCODERS if name])
def test_a_body_that_ends_too_early_is_refused(encoding: str) -> None:
    """Half of the rows must never pass for all. Seen to fail with the check for the stream's end left out."""
    sent = ENCODERS[encoding](b"abc" * 1000)
    with pytest.raises(Refused, match="ends before"):
        list(decoded([sent[:-1]], encoding))


@pytest.mark.parametrize("encoding", ["gzip", "deflate", "zstd", "lz4", "br"])
def test_broken_and_unknown_encodings_are_refused(encoding: str) -> None:
    """It is the client's mistake, not ours."""
    with pytest.raises(Refused) as refused:
        list(decoded([b"no"], encoding))
    assert refused.value.code in (89, 354)


def test_head_is_enough_to_find_the_rows_and_the_rest_is_not_read(seed: int) -> None:
    """A mebibyte and no more than the piece that completes it; all of it, once and in order, is head and rest."""
    chance = random.Random(seed)
    text = random_text(chance, 3 * HEAD_BYTES)
    read = []

    def pieces() -> Iterator[bytes]:
        for piece in cut(text, chance):
            read.append(len(piece))
            yield piece

    body = Body(pieces())
    head = body.head()
    assert HEAD_BYTES <= len(head) == sum(read) < HEAD_BYTES + (1 << 17)
    assert body.head() + b"".join(body.rest()) == text
    assert Body([b"SELECT", b" 1"]).whole() == b"SELECT 1"


def test_statement_without_end_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    """Only rows may be endless; the message says how to send them."""
    monkeypatch.setattr("sinks.clickhouse.embedded.body._STATEMENT_BYTES_MAX", 2 * HEAD_BYTES)
    with pytest.raises(Refused, match="FORMAT"):
        Body(b" " * HEAD_BYTES for _ in range(4)).whole()


@pytest.mark.parametrize("size", [0, 1, 14, 15, 269, 270, 4_095, 4_096, 4_097, 100_000])
def test_blocks_hold_what_was_put_in(size: int) -> None:
    """Of every size, across the borders of LZ4's lengths and of our blocks."""
    text = os.urandom(size)
    assert b"".join(unpacked([stored(text)])) == text


@pytest.mark.parametrize(
    ("method", "packed"),
    [
        (0x02, b"abc" * 100),
        (0x82, lz4.block.compress(b"abc" * 100, store_size=False)),
        (0x90, zstandard.ZstdCompressor().compress(b"abc" * 100)),
    ],
)
def test_blocks_of_clients_are_unpacked_by_any_method(method: int, packed: bytes) -> None:
    """As they are, LZ4 and ZSTD; a body that ends within one is refused, and so is what is no block."""
    head = bytes((method,)) + (len(packed) + 9).to_bytes(4, "little") + (300).to_bytes(4, "little")
    block = bytes(16) + head + packed
    assert b"".join(decoded([block[:20], block[20:] + block], "", is_blocks=True)) == b"abc" * 200
    with pytest.raises(Refused, match="ends within"):
        list(decoded([block[:-1]], "", is_blocks=True))
    with pytest.raises(Refused, match="not in ClickHouse's"):
        list(decoded([b"INSERT INTO t FORMAT CSV 1, 2, 3"], "", is_blocks=True))


def test_checksums_of_many_are_those_of_each() -> None:
    """Blocks of one size are hashed side by side, the last one alone: the same function either way."""
    sent = stored(os.urandom(3 * 4_096 + 100))
    at = checked = 0
    while at < len(sent):
        size = int.from_bytes(sent[at + 17 : at + 21], "little")
        assert sent[at : at + 16] == cityhash128(sent[at + 16 : at + 16 + size])
        at, checked = at + 16 + size, checked + 1
    assert checked == 4


@pytest.mark.parametrize(
    ("accepted", "name"), [("br, gzip", "gzip"), ("zstd;q=1", "zstd"), ("", ""), ("br", "")]
)
@pytest.mark.parametrize("in_blocks", [False, True])
def test_answers_are_encoded_as_accepted(accepted: str, name: str, in_blocks: bool) -> None:
    """The first encoding we know; none is fine; ClickHouse's blocks inside of it if asked for."""
    encoder = Encoder(accepted, in_blocks=in_blocks)
    sent = encoder.encode(b"a" * 1000) + encoder.encode(b"b") + encoder.finish()
    assert encoder.name == name
    assert b"".join(decoded([sent], name, is_blocks=in_blocks)) == b"a" * 1000 + b"b"
