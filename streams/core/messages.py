"""What tasks say to each other through `profiles.inbox`: the identity protocol's messages and the clocks.

Owns their shapes and encoding (MessagePack arrays with a leading tag); must not know what is done with them. `to` is
the identifier the message is for. A profile is kept at one of its identifiers, its root, and has its `name` from the
lowest. `generation` numbers the pointers to a root: a later one holds. An `epoch` tells how often the identifier that
gives the name was split off, so that ids of profiles are never reused.
"""

from typing import Any, Final

import msgspec

FOLLOWS_ROOT: Final = -1
"""Instead of the place of whom a member follows."""

MemberRow = tuple[str, int, int, int, int]
"""A member, its link (the parent's place, epoch ms, digest), and the place of whom it follows or FOLLOWS_ROOT."""


class Touch(msgspec.Struct, gc=False, array_like=True, tag=1):
    """A touchpoint that another actor must process: the original bytes and where they came from."""

    to: str
    value: bytes
    key: bytes | None
    topic: str
    partition: int
    offset: int
    timestamp: int
    skipped: int = 0
    """So many of its first identifiers identify nobody."""


class Cause(msgspec.Struct, gc=False, array_like=True, frozen=True):
    """The touchpoint that showed a link: when it occurred (epoch ms), its digest, and `through` which identifier.

    Or the act that made one: its id, time and digest, and `rule`, `by` and `reason`, which a touchpoint has not.
    """

    message_id: str
    occurred_ms: int
    digest: int
    through: str
    rule: str = ""
    by: str = ""
    reason: str = ""


class Act(msgspec.Struct, gc=False, array_like=True, frozen=True):
    """What somebody decides: a record of the control topic. Times in epoch ms, `digest` below 0; `into`, or ""."""

    act_id: str
    kind: str
    identifiers: tuple[str, ...]
    into: str
    acted_ms: int
    arrived_ms: int
    digest: int
    by: str
    reason: str


class Bid(msgspec.Struct, gc=False, array_like=True, frozen=True):
    """A claim until it is settled: the root `claimant` saw `identifier` beside one of its own, `cause.through`.

    Claims of a root are numbered from 1; 0 is of a link for which nobody has claimed anything yet. With the identifier
    comes one of the type that the claim `brings`: another was cut off to make room for it. It `keeps_room` for what it
    brings until a better link needs it.
    """

    identifier: str
    claimant: str
    number: int
    cause: Cause
    brings: str = ""
    keeps_room: bool = True


class Claim(msgspec.Struct, gc=False, array_like=True, tag=2):
    """`to` should belong to the claimant, a profile of so many members whose pointers have this generation."""

    to: str
    bid: Bid
    generation: int
    size: int
    name: str
    epoch: int


class Claimed(msgspec.Struct, gc=False, array_like=True, tag=10):
    """The identifier of the bid belongs to `to`, the claimant."""

    to: str
    bid: Bid


class Link(msgspec.Struct, gc=False, array_like=True, tag=3):
    """The profile of `to` should claim this identifier too: the cause shows it beside `to`.

    What the claim `brings`, see `Bid`.
    """

    to: str
    identifier: str
    cause: Cause
    brings: str = ""


class Union(msgspec.Struct, gc=False, array_like=True, tag=4):
    """`to` and `other`, which has so many members, should be one profile, since the bid links them."""

    to: str
    other: str
    bid: Bid
    size: int


class Propose(msgspec.Struct, gc=False, array_like=True, tag=5):
    """`child` asks the root `to` to absorb it with these members and claims; `proposal` names this asking.

    `size` is how many members it had when it asked. If they are many, only those are listed of which one may have
    one alone, and its end of the bid; `counts` tells of the others how many there are by type.
    """

    to: str
    child: str
    size: int
    members: list[str]
    reserved: list[Bid]
    proposal: str
    generation: int
    bid: Bid
    acts: list[Act]
    counts: dict[str, int]


class Accept(msgspec.Struct, gc=False, array_like=True, tag=6):
    """Go ahead: `to` may hand itself over to `root`, if `proposal` is still what it asked; in pieces, if it was so."""

    to: str
    root: str
    name: str
    epoch: int
    proposal: str
    bid: Bid
    in_pieces: bool


NO_LINK: Final = ""
BUSY: Final = "busy"
"""Refused not for a limit, but because the two are not linked any more, or one must not wait for the other."""


class Refuse(msgspec.Struct, gc=False, array_like=True, tag=11):
    """No, by the root `root`: together they would have too many identifiers of type `kind`; or NO_LINK, or BUSY."""

    to: str
    root: str
    proposal: str
    kind: str
    bid: Bid


class Weigh(msgspec.Struct, gc=False, array_like=True, tag=12):
    """The claimant `to` is refused: how bad is the worst link on its own side?"""

    to: str
    kind: str
    bid: Bid


class Contest(msgspec.Struct, gc=False, array_like=True, tag=13):
    """The claimed identifier `to`, or its root, decides: which link between two people is the worst?

    `theirs` is the weight of the worst on the claimant's side, None if there is none.
    """

    to: str
    kind: str
    bid: Bid
    theirs: tuple[int, int, str] | None


class Release(msgspec.Struct, gc=False, array_like=True, tag=14):
    """The claim of `to` has failed: the claimed one stays with `owner`, because of `rule`.

    `is_cut`: the worst link is on the claimant's own side, worse than `beat`.
    """

    to: str
    bid: Bid
    owner: str
    rule: str
    is_cut: bool
    kind: str
    beat: tuple[int, int, str] | None


class Retry(msgspec.Struct, gc=False, array_like=True, tag=15):
    """What stood against the claim of `to` is gone: claim again."""

    to: str
    bid: Bid


class Absorb(msgspec.Struct, gc=False, array_like=True, tag=7):
    """Here is the whole state of `child`, for the `root` that has accepted it: the encoded parts of its actor."""

    to: str
    root: str
    child: str
    generation: int
    state: list[tuple[bytes, bytes]]
    bid: Bid


class Piece(msgspec.Struct, gc=False, array_like=True, tag=21):
    """Some of the members of `child`, which has so many, for the root `to` that has accepted it.

    They begin at this place; a piece always travels, even within a task, so that no batch has more than one to do.
    """

    to: str
    child: str
    members: int
    first: int
    rows: list[MemberRow]


class More(msgspec.Struct, gc=False, array_like=True, tag=22):
    """The members of `to` have arrived up to this place."""

    to: str
    first: int


class Hold(msgspec.Struct, gc=False, array_like=True, tag=23):
    """The profile of `to` may become another one, once a profile of many has moved: its timers wait until then."""

    to: str


class Detach(msgspec.Struct, gc=False, array_like=True, tag=16):
    """`to` is a root of its own from now on: the encoded parts of its actor, and why."""

    to: str
    generation: int
    state: list[tuple[bytes, bytes]]
    cause: Cause
    owner: str
    rule: str


class Disown(msgspec.Struct, gc=False, array_like=True, tag=17):
    """The root of the identifier lets go of it, since it is nobody's; addressed to it, or to its root."""

    to: str
    identifier: str
    cause: Cause
    rule: str


class Decree(msgspec.Struct, gc=False, array_like=True, tag=18):
    """`to` is named in this act."""

    to: str
    act: Act


class Heed(msgspec.Struct, gc=False, array_like=True, tag=19):
    """The root of the identifier learns of acts that name it, and holds to all it knows; addressed as `Disown` is.

    It `has_learned` of some already where it has become one with another, and only one of the two knew them.
    """

    to: str
    identifier: str
    acts: list[Act]
    has_learned: bool = False


class Reopen(msgspec.Struct, gc=False, array_like=True, tag=20):
    """The identifier, which was nobody's when `to` claimed it, is somebody's again."""

    to: str
    identifier: str


class Waive(msgspec.Struct, gc=False, array_like=True, tag=24):
    """Nothing comes of a claim of `to`: what was cut for it may count again."""

    to: str


UNSAID: Final = ""


class Repoint(msgspec.Struct, gc=False, array_like=True, tag=8):
    """`to` follows `root` now; kept only if newer than what `to` knows, so order does not matter.

    It is told as a decision of this kind, UNSAID if somebody else tells it.
    """

    to: str
    root: str
    name: str
    epoch: int
    generation: int
    cause: Cause
    kind: str


class Clock(msgspec.Struct, gc=False, array_like=True, tag=9):
    """The clocks of task `sender`, one a round, epoch ms."""

    sender: int
    rounds: list[int]


ForRoot = (
    Hold
    | Link
    | Union
    | Propose
    | Piece
    | Absorb
    | Claimed
    | Weigh
    | Contest
    | Release
    | Retry
    | Disown
    | Waive
)
ForActor = Touch | Claim | Accept | Refuse | More | Detach | Repoint | ForRoot
ForActs = Decree | Heed | Reopen
Message = ForActor | ForActs | Clock
Waiting = Link | Union | Propose | Claimed | Retry | Weigh | Contest | Release | Disown | Heed

_encoder = msgspec.msgpack.Encoder()
_decoder: Any = msgspec.msgpack.Decoder(Message)


def encode(message: Message) -> bytes:
    """The record value of a message."""
    return _encoder.encode(message)


def decode(value: bytes) -> Message:
    """The message of a record value; raises msgspec.DecodeError when it is none of ours."""
    message: Message = _decoder.decode(value)
    return message
