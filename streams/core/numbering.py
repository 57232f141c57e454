"""The numbers of messages between tasks, by which one that has been heard already is known.

Without transactions, a crash can leave a batch's messages without its state, and the next owner sends the very same
ones again (see `streams.runtime.plan`): what was one message must stay one, since the protocol counts answers. So a
message's key says which task sent it and as its how manieth to this one. What a task sends to another stays in order,
so one number a sender is all there is to remember. Owns keys and counts; must not know what messages mean.
"""

from typing import Final

import msgspec

from streams.core.shapes import Numbers

NUMBERS_KEY: Final = b"\0numbers"
"""Under which a task keeps them."""
_SENDER_BITS: Final = 14
"""Room for more tasks than a topic has partitions; sender and number together stay a small integer."""
_KEY_BYTES: Final = 8


class Numbering:
    """Of one task of `partitions`."""

    __slots__ = ("_heard", "_partition", "_sent", "is_changed")

    def __init__(self, partition: int, partitions: int, stored: bytes | None) -> None:
        self._partition = partition
        self._sent = [0] * partitions
        self._heard = [0] * partitions
        if stored is not None:
            numbers: Numbers = msgspec.msgpack.decode(stored, type=Numbers)
            self._sent, self._heard = numbers.sent, numbers.heard
        self.is_changed = False

    def next_key(self, receiver: int) -> bytes:
        """The record key of the next message to a task."""
        self.is_changed = True
        self._sent[receiver] += 1
        return (self._sent[receiver] << _SENDER_BITS | self._partition).to_bytes(_KEY_BYTES, "big")

    def is_new(self, key: bytes | None) -> bool:
        """False if the message with this record key was heard before. Raises AssertionError if one before it is
        missing: state and inbox then do not belong together."""
        packed = int.from_bytes(key or b"", "big")
        sender, number = packed & ((1 << _SENDER_BITS) - 1), packed >> _SENDER_BITS
        assert sender < len(self._heard), (
            "the inbox has a message without a number: drain it before an upgrade"
        )
        last = self._heard[sender]
        if number <= last:
            return False
        assert number == last + 1, (
            f"messages {last + 1} to {number - 1} of task {sender} are missing in the inbox"
        )
        self._heard[sender] = number
        self.is_changed = True
        return True

    def encode(self) -> bytes:
        """The state, to be restored from."""
        self.is_changed = False
        return msgspec.msgpack.encode(Numbers(self._sent, self._heard))
