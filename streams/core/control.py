"""A record of the control topic as an act, or the reason why it can never be one.

Owns what an act must look like; must not know what it does (see `acts`). Raises schemas.codec.CodecError.
"""

from typing import Any, Final

import xxhash

from schemas.catalog import Catalog
from schemas.codec import CodecError, Reason, decode_as
from schemas.touchpoint_reader import EARLIEST_MS, LATEST_MS
from streams.core.messages import Act
from streams.core.normalise import NoIdentifier, Normaliser
from streams.core.rules import Rules

CONTROL: Final = "identity.control"
"""The topic, and the subject of its records."""
MERGE: Final = "merge"
ALIAS: Final = "alias"
SPLIT: Final = "split"
BLOCK: Final = "block"
ALLOW: Final = "allow"
KINDS: Final = (MERGE, ALIAS, SPLIT, BLOCK, ALLOW)
MOST_NAMED: Final = 100
"""Each actor named remembers the whole act."""
MOST_TEXT: Final = 512


class Control:
    """Reads acts under one catalog and one set of rules."""

    __slots__ = ("_catalog", "_max_bytes", "_normaliser")

    def __init__(self, catalog: Catalog, rules: Rules, normaliser: Normaliser | None = None) -> None:
        self._catalog = catalog
        self._normaliser = normaliser or Normaliser(rules)
        self._max_bytes = rules.max_record_bytes

    def read(self, value: bytes | None, timestamp_ms: int) -> Act:
        """The act of a record that was appended then; raises CodecError with the dead letter's reason."""
        if value is not None and len(value) > self._max_bytes:
            raise CodecError(Reason.TOO_LARGE, f"{len(value)} bytes, more than {self._max_bytes}")
        fields = decode_as(CONTROL, value, self._catalog)
        _check(fields)
        try:
            # In one order, so that the same act typed in another way has the same effects.
            names = tuple(sorted({self._normaliser.typed(text) for text in fields["identifiers"]}))
            into = "" if fields["into"] is None else self._normaliser.typed(fields["into"])
        except NoIdentifier as error:
            raise CodecError(Reason.NO_IDENTIFIER, str(error)) from error
        if into in names:
            raise CodecError(Reason.WRONG_TYPE, "into is one of the identifiers")
        act_id: str = fields["act_id"]
        # Less than nothing, as no touchpoint's is: that is how a link by an act is known.
        digest = -1 - (xxhash.xxh3_64_intdigest(act_id.encode()) >> 2)
        acted_ms = min(fields["acted_at"], timestamp_ms)
        return Act(
            act_id, fields["act"], names, into, acted_ms, timestamp_ms, digest, fields["by"], fields["reason"]
        )


def _check(fields: dict[str, Any]) -> None:
    """What has nothing to do with how an identifier is written."""
    kind, names = fields["act"], fields["identifiers"]
    if kind not in KINDS:
        raise CodecError(Reason.WRONG_TYPE, f"act is none of {', '.join(KINDS)}")
    if not fields["act_id"] or not fields["by"]:
        raise CodecError(Reason.WRONG_TYPE, "act_id or by is empty")
    if max(len(fields["act_id"]), len(fields["by"]), len(fields["reason"])) > MOST_TEXT:
        raise CodecError(Reason.WRONG_TYPE, f"act_id, by or reason is longer than {MOST_TEXT}")
    if not 1 <= len(names) <= MOST_NAMED:
        raise CodecError(Reason.WRONG_TYPE, f"{len(names)} identifiers, not 1 to {MOST_NAMED}")
    if (kind in (MERGE, ALIAS)) != (fields["into"] is not None):
        raise CodecError(Reason.WRONG_TYPE, "merge and alias have into, and no other act has it")
    if not EARLIEST_MS <= fields["acted_at"] <= LATEST_MS:
        raise CodecError(Reason.WRONG_TYPE, "a time outside 1900 to 2299")
