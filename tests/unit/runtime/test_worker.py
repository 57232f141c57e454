"""What a worker process says, and how often."""

from __future__ import annotations

import logging

from streams.runtime.worker import Seldom


def record(name: str, text: str, *arguments: object) -> logging.LogRecord:
    """One log record."""
    return logging.LogRecord(name, logging.ERROR, __file__, 1, text, arguments, None)


def test_what_aiokafka_repeats_is_said_once_in_ten_seconds() -> None:
    """Whatever its arguments are; other things, and other loggers, are not held back by it."""
    now_s = [100.0]
    seldom = Seldom(lambda: now_s[0])
    away = "Unable connect to node with id %s"
    said = [seldom.filter(record("aiokafka", away, node)) for node in (1, 2, 1)]
    assert said == [True, False, False]
    assert seldom.filter(record("aiokafka", "Unable to update metadata"))
    assert all(seldom.filter(record("streams.runtime.task", away, 1)) for _ in range(3))
    now_s[0] += 10.0
    assert seldom.filter(record("aiokafka", away, 1))
