"""Messages between tasks: a repeated one is known, a missing one is noticed."""

from __future__ import annotations

import pytest

from streams.core.numbering import Numbering


def test_a_message_is_new_once() -> None:
    """A crash may send the first few of a batch again, and then the rest."""
    sender, receiver = Numbering(2, 3, None), Numbering(1, 3, None)
    keys = [sender.next_key(1) for _ in range(3)]
    heard = [receiver.is_new(key) for key in (*keys[:2], *keys)]
    assert heard == [True, True, False, False, True]


def test_messages_of_two_senders_have_numbers_of_their_own() -> None:
    """And so have those of one sender to two receivers."""
    senders, receiver = [Numbering(at, 3, None) for at in range(3)], Numbering(1, 3, None)
    senders[0].next_key(2)
    assert all(receiver.is_new(sender.next_key(1)) for sender in senders)


def test_numbers_go_on_after_a_restore() -> None:
    """State is all that the next owner has."""
    sender, receiver = Numbering(0, 2, None), Numbering(1, 2, None)
    first = sender.next_key(1)
    assert receiver.is_new(first)
    sender, receiver = Numbering(0, 2, sender.encode()), Numbering(1, 2, receiver.encode())
    assert not receiver.is_new(first)
    assert receiver.is_new(sender.next_key(1))


def test_a_missing_message_is_noticed() -> None:
    """What was lost between tasks would be missing in a profile without a word."""
    sender, receiver = Numbering(0, 2, None), Numbering(1, 2, None)
    for _ in range(3):
        key = sender.next_key(1)
    with pytest.raises(AssertionError, match="messages 1 to 2 of task 0 are missing"):
        receiver.is_new(key)


def test_only_what_has_changed_is_stored() -> None:
    """A batch without messages writes nothing."""
    numbering = Numbering(0, 2, None)
    changed = [numbering.is_changed]
    key = numbering.next_key(0)
    for _ in range(2):
        changed.append(numbering.is_changed)
        numbering.encode()
        numbering.is_new(key)
    changed.append(numbering.is_changed)
    numbering.encode()
    numbering.is_new(key)
    changed.append(numbering.is_changed)
    assert changed == [False, True, True, False, False]
