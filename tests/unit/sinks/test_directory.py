"""One process at a time holds a warehouse's directory, and says who it is."""

from __future__ import annotations

import os
import xml.etree.ElementTree as ElementTree
from pathlib import Path

import pytest

from sinks.clickhouse.embedded.directory import DirectoryTaken, Holder, Lock, holder_of, write_config


def test_second_holder_is_told_who_the_first_is(tmp_path: Path) -> None:
    """The message names process and address, so that one can go there or end it."""
    first = Lock(tmp_path / "w")
    first.announce("http://127.0.0.1:1234")
    with pytest.raises(DirectoryTaken, match=rf"process {os.getpid()} and answers at http://127.0.0.1:1234"):
        Lock(tmp_path / "w")
    assert holder_of(tmp_path / "w") == Holder(os.getpid(), "http://127.0.0.1:1234")
    first.release()


def test_released_directory_is_free(tmp_path: Path) -> None:
    """Nobody holds it, and the next one may."""
    Lock(tmp_path).release()
    assert holder_of(tmp_path) is None
    Lock(tmp_path).release()


def test_asking_who_holds_makes_nothing(tmp_path: Path) -> None:
    """A question leaves no directory behind."""
    assert holder_of(tmp_path / "none") is None
    assert not (tmp_path / "none").exists()


def test_configuration_grants_no_source_and_caps_memory(tmp_path: Path) -> None:
    """Files, addresses and foreign table engines are nobody's; the cap is what was asked for."""
    config = ElementTree.parse(write_config(tmp_path, memory_bytes=1_000_000)).getroot()
    assert config.findtext("max_server_memory_usage") == "1000000"
    users = ElementTree.parse(str(config.findtext("users_config"))).getroot()
    grants = " ".join(grant.text or "" for grant in users.iter("query"))
    for word in ("FILE", "URL", "REMOTE", "S3", "Kafka", "ALL", "SYSTEM ON", "SHUTDOWN", "BACKUP", "USER"):
        assert word not in grants.replace("Filesystem", "")
    assert users.findtext("profiles/default/async_insert") == "0"
