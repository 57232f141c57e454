"""The state in memory: one actor an identifier, an alias that follows its root or the root that holds the profile.

Owns what there is to an actor; must not know what it means, nor how it is stored (see `actors`).
"""

from functools import lru_cache
from typing import Final

from mypy_extensions import mypyc_attr

from streams.core.browses import Browse
from streams.core.carts import Episode
from streams.core.claims import Claims
from streams.core.journal import Journal
from streams.core.limits import Weight, counts_of, kind_of
from streams.core.links import PART, PENDING, Links
from streams.core.messages import Accept, Act, Bid, Waiting
from streams.core.rules import Rules
from streams.core.sessions import Session, content_uuid
from streams.core.shapes import NEVER, Action, Arriving, CampaignEntry, CartEntry
from streams.core.shelf import Shelf

CACHED_IDS: Final = 2_500
_NO_MEMBERS: Final[dict[str, int]] = {}
"""The index of every alias; nothing is ever added to it."""
_NAMESPACE: Final = b"throughline/profile"


@mypyc_attr(acyclic=True)
class Profile:
    """What a root holds; times in epoch ms. `revision` rises with every change and outlives merges.

    `arrived_ms` is when the newest of its touchpoints arrived, `merged_ms` when it last had to do with a merge: until
    the timer clock has passed both, not everything is known that was in Kafka by then. `found_ms` is the wall clock
    when a cart was first found due: what had arrived by then is heard of before anything is decided.
    `late` tells by digest when those arrived that came so long after they occurred that the journal forgets them soon.
    `members` keep their places, so one that has left leaves "" behind. `reserved` are claims without an answer yet, by
    identifier; `lost` what is not to be claimed again, and the weight of the link that was refused; `refused` whose
    claims were refused here; `spare` links (two members, epoch ms, digest) left out of the tree; `expecting` whose
    state is on its way here; `acts` name members, or did when the profile heard of them. `name` is the lowest of the
    members, `epoch` how often it was split off. `via` tells of members that follow another member, a former root,
    instead of the root: by place, its place. `proposed_size` is how many members there were when the proposal was made.
    A profile of many moves in pieces: `accepted` says by whom, `arriving` what of which child is on its way here.
    """

    __slots__ = (
        "accepted", "actions", "acts", "arrived_ms", "arriving", "browses", "episodes", "epoch", "expecting",
        "found_ms", "last_digest", "last_ms", "late", "links", "lost", "members", "merged_ms", "name", "proposal",
        "proposed_size", "refused", "reserved", "revision", "sessions", "shelf", "spare", "via", "waiting",
    )  # fmt: skip

    def __init__(self, members: list[str]) -> None:
        self.members = members
        self.name = members[0] if members else ""
        self.epoch = 0
        self.via: dict[int, int] = {}
        self.links = Links()
        self.reserved: Claims = {}
        self.lost: dict[str, Weight] = {}
        self.refused: list[Bid] = []
        self.spare: list[tuple[str, str, int, int]] = []
        self.expecting: list[str] = []
        self.acts: list[Act] = []
        self.revision = 0
        self.last_ms = NEVER
        self.last_digest = 0
        self.sessions: list[Session] = []
        self.shelf = Shelf()
        self.episodes: list[Episode] = []
        self.browses: list[Browse] = []
        self.actions: list[Action] = []
        self.late: dict[int, int] = {}
        self.proposal = ""
        self.proposed_size = 0
        self.accepted: Accept | None = None
        self.arriving: dict[str, Arriving] = {}
        self.waiting: list[Waiting] = []
        self.merged_ms = NEVER
        self.arrived_ms = NEVER
        self.found_ms = NEVER

    def is_expected(self, place: int) -> bool:
        """True if the state of a member is still on its way here, and with it claims of which nobody here knows."""
        if self.links.parents[place] == PENDING:
            return True
        return any(of.base <= place < of.base + of.members for of in self.arriving.values())

    def follow(self, place: int, through: int) -> None:
        """A member follows another one instead of the root."""
        self.via[place] = through
        self.links.mark(place)

    def follow_root(self, place: int) -> None:
        """A member follows the root."""
        if self.via.pop(place, None) is not None:
            self.links.mark(place)


@mypyc_attr(acyclic=True)
class Actor:
    """An actor in memory: an alias that follows `root`, or, with a profile, a root itself.

    A root has its journal, its cart entries and its campaigns (see `entries`) beside the profile; while it is
    unsettled, these are ahead of its sessions and carts. `timer_ms` is its entry among the timers, None if that is not
    known.
    `generation` numbers the pointers to it, `epoch` how often an operator split it off; `mark` says why it identifies
    nobody, `rivals` who has claimed it in vain (when the touchpoint occurred, claimant), `acts` are those that name it.
    """

    __slots__ = (
        "_counts",
        "_last_revision",
        "_profile_id",
        "acts",
        "campaigns",
        "carts",
        "epoch",
        "generation",
        "handed_over",
        "has_new_campaigns",
        "has_new_carts",
        "identifier",
        "index",
        "is_unsettled",
        "journal",
        "key",
        "mark",
        "parts_left",
        "profile",
        "rivals",
        "root",
        "timer_ms",
    )  # fmt: skip

    def __init__(self, identifier: str, root: str, profile: Profile | None) -> None:
        self.identifier = identifier
        self.key = identifier.encode()
        self.profile = profile
        self.root = root
        self.journal = Journal()
        self.carts: list[CartEntry] = []
        self.has_new_carts = False
        self.campaigns: list[CampaignEntry] = []
        self.has_new_campaigns = False
        self.is_unsettled = False
        self.handed_over: Shelf | None = None
        self.parts_left = 0
        self.timer_ms: int | None = None
        self._profile_id = ""
        self._last_revision = 0
        self._counts: dict[str, int] | None = None
        self.generation = 0
        self.epoch = 0
        self.mark = ""
        self.rivals: list[tuple[int, str]] = []
        self.acts: list[Act] = []
        self.index = _NO_MEMBERS
        if profile is not None:
            self.index = {member: i for i, member in enumerate(profile.members) if member}

    @property
    def own_id(self) -> str:
        """The id of a profile that has its name from this identifier."""
        return profile_id_of(self.identifier, self.epoch)

    @property
    def profile_id(self) -> str:
        """The id of its profile; of an alias, of the one it handed over."""
        if not self._profile_id:
            profile = self.profile
            if profile is None:
                return self.own_id
            self._profile_id = profile_id_of(profile.name, profile.epoch)
        return self._profile_id

    def rename(self, name: str, epoch: int) -> None:
        """Another member is the lowest now, or it has been split off."""
        profile = self.profile
        assert profile is not None
        profile.name, profile.epoch, self._profile_id = name, epoch, ""
        for session in profile.sessions:
            session.owner = b""

    @property
    def revision(self) -> int:
        """The profile's revision, of an alias the one it was handed over with."""
        return self._last_revision if self.profile is None else self.profile.revision

    def has_too_many(self, rules: Rules) -> bool:
        """True if more is remembered than a person does in 72 h: a machine, whose further touchpoints pass by."""
        return (
            self.journal.size() >= rules.most_touchpoints
            or len(self.carts) >= rules.most_cart_entries
            or len(self.campaigns) >= rules.most_campaigns
        )

    def add_member(self, identifier: str) -> int:
        """The index of a member of a root, added if it is new."""
        at = self.index.get(identifier)
        if at is None:
            assert self.profile is not None
            at = self.index[identifier] = len(self.profile.members)
            self.profile.members.append(identifier)
            if self._counts is not None:
                kind = kind_of(identifier)
                self._counts[kind] = self._counts.get(kind, 0) + 1
        return at

    def put_member(self, place: int, identifier: str) -> None:
        """A member to a place that is kept for it."""
        assert self.profile is not None
        assert identifier not in self.index, "a member of two roots"
        self.profile.members[place] = identifier
        self.index[identifier] = place
        if self._counts is not None:
            kind = kind_of(identifier)
            self._counts[kind] = self._counts.get(kind, 0) + 1

    def drop_member(self, at: int) -> None:
        """One that leaves; its place stays empty."""
        assert self.profile is not None
        del self.index[self.profile.members[at]]
        self.profile.members[at] = ""
        self._counts = None

    def counts(self) -> dict[str, int]:
        """How many members a root has of each type."""
        if self._counts is None:
            self._counts = counts_of(self.index)
        return self._counts

    def become_alias(self, root: str) -> None:
        """Hand everything over: only the pointer stays."""
        self._last_revision, self._profile_id = self.revision, self.profile_id
        assert self.profile is not None
        # Its entry comes up and goes while it is an alias: were it a root again, it would wait for it in vain.
        self.timer_ms = None
        self.profile.sessions = []
        self.parts_left = (len(self.profile.members) - 1) // PART
        self.handed_over, self.profile, self.root = self.profile.shelf, None, root
        self.journal.clear()
        self.has_new_carts = self.has_new_carts or bool(self.carts)
        self.has_new_campaigns = self.has_new_campaigns or bool(self.campaigns)
        self.carts, self.campaigns, self.index, self._counts = [], [], _NO_MEMBERS, None

    def become_root(self, other: "Actor") -> None:
        """Take over a profile that was made for this identifier."""
        assert other.profile is not None
        self.root, self.profile, self._profile_id = self.identifier, other.profile, ""
        self.profile.revision = max(self.profile.revision, self._last_revision)
        self.index, self.carts, self.campaigns, self._counts = other.index, other.carts, other.campaigns, None
        self.journal.extend(other.journal, list(range(len(other.profile.members))))
        self.has_new_carts = self.has_new_carts or bool(self.carts)
        self.has_new_campaigns = self.has_new_campaigns or bool(self.campaigns)


@lru_cache(maxsize=CACHED_IDS)
def profile_id_of(name: str, epoch: int) -> str:
    """The id of a profile: a version 5 UUID of its lowest identifier and of how often that was split off."""
    return content_uuid(_NAMESPACE, f"{name}\0{epoch}".encode() if epoch else name.encode())
