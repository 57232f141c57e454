"""Where messages go: to an actor of this task within the batch, or by an inbox to another task, or to a later batch.

Owns the queue of what this task says to itself, and what leaves it; must not know what messages mean.
"""

from collections import deque

from streams.core.effects import Effects
from streams.core.identifier import Identifiers
from streams.core.messages import Clock, Message, encode


class Outbox:
    """Of one task; `effects` are those of the batch, whose inbox it fills."""

    __slots__ = ("_identifiers", "_partition", "effects", "local")

    def __init__(self, partition: int, identifiers: Identifiers) -> None:
        self._partition = partition
        self._identifiers = identifiers
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
        key = str(message.sender) if isinstance(message, Clock) else message.to
        self.effects.inbox.setdefault(partition, []).append((key.encode(), encode(message)))
