"""Where messages go: to an actor of this task within the batch, or by an inbox to another task, or to a later batch.

Owns the queue of what this task says to itself, and what leaves it; must not know what messages mean.
"""

from collections import deque

from streams.core.effects import Effects
from streams.core.identifier import Identifiers
from streams.core.messages import Clock, Message, encode
from streams.core.numbering import Numbering


class Outbox:
    """Of one task; `effects` are those of the batch, whose inbox it fills; `numbering` is what their keys say."""

    __slots__ = ("_identifiers", "_partition", "effects", "local", "numbering")

    def __init__(self, partition: int, identifiers: Identifiers, numbering: Numbering) -> None:
        self._partition = partition
        self._identifiers = identifiers
        self.numbering = numbering
        self.local: deque[Message] = deque()
        self.effects = Effects()

    def begin(self, effects: Effects) -> None:
        """Another batch."""
        self.local.clear()
        self.effects = effects

    def send(self, message: Message) -> None:
        """To the task that holds the actor; what is for this task is done within the batch."""
        assert not isinstance(message, Clock)
        self.post(self._identifiers.partition(message.to), message)

    def send_later(self, message: Message) -> None:
        """To the task that holds the actor, in another batch, even if it is this task."""
        assert not isinstance(message, Clock)
        self._write(self._identifiers.partition(message.to), message)

    def post(self, partition: int, message: Message) -> None:
        """To a task."""
        if partition == self._partition:
            self.local.append(message)
        else:
            self._write(partition, message)

    def _write(self, partition: int, message: Message) -> None:
        key = self.numbering.next_key(partition)
        self.effects.inbox.setdefault(partition, []).append((key, encode(message)))
