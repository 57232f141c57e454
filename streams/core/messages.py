"""What tasks say to each other through `profiles.inbox`: the identity protocol's messages and the clocks.

Owns their shapes and encoding (MessagePack arrays with a leading tag); must not know what is done with them. `to` is
the identifier the message is for; `cause` is the message_id of the touchpoint that led to it.
"""

from typing import Any

import msgspec


class Touch(msgspec.Struct, gc=False, array_like=True, tag=1):
    """A touchpoint that another actor must process: the original bytes and where they came from."""

    to: str
    value: bytes
    key: bytes | None
    topic: str
    partition: int
    offset: int
    timestamp: int


class Claim(msgspec.Struct, gc=False, array_like=True, tag=2):
    """`to` now belongs to `root`."""

    to: str
    root: str
    cause: str


class Link(msgspec.Struct, gc=False, array_like=True, tag=3):
    """The profile of `to` should claim these identifiers too (kept waiting while it was being absorbed)."""

    to: str
    identifiers: tuple[str, ...]
    cause: str


class Union(msgspec.Struct, gc=False, array_like=True, tag=4):
    """`to` and `other` should be one profile."""

    to: str
    other: str
    cause: str


class Propose(msgspec.Struct, gc=False, array_like=True, tag=5):
    """`child` asks the root `to` to absorb it with these members; `proposal` names this asking."""

    to: str
    child: str
    members: list[str]
    proposal: str
    cause: str


class Accept(msgspec.Struct, gc=False, array_like=True, tag=6):
    """Go ahead: `to` may hand itself over to `root`, if `proposal` is still what it asked."""

    to: str
    root: str
    proposal: str
    cause: str


class Absorb(msgspec.Struct, gc=False, array_like=True, tag=7):
    """Here is the whole state of `child`: the encoded parts of its actor."""

    to: str
    child: str
    state: list[tuple[bytes, bytes]]
    cause: str


class Repoint(msgspec.Struct, gc=False, array_like=True, tag=8):
    """`to` belongs to `root` now; kept only if that is lower than what `to` knows, so order does not matter."""

    to: str
    root: str
    cause: str


class Clock(msgspec.Struct, gc=False, array_like=True, tag=9):
    """The clocks of task `sender`, one a round, epoch ms."""

    sender: int
    rounds: list[int]


ForActor = Touch | Claim | Link | Union | Propose | Accept | Absorb | Repoint
Message = ForActor | Clock
Waiting = Link | Union | Propose

_encoder = msgspec.msgpack.Encoder()
_decoder: Any = msgspec.msgpack.Decoder(Message)


def encode(message: Message) -> bytes:
    """The record value of a message."""
    return _encoder.encode(message)


def decode(value: bytes) -> Message:
    """The message of a record value; raises msgspec.DecodeError when it is none of ours."""
    message: Message = _decoder.decode(value)
    return message
