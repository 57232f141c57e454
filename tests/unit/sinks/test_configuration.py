"""What the engine is opened with lets nobody out of the directory, nor beyond the memory that was given."""

from __future__ import annotations

import os
import xml.etree.ElementTree as ElementTree
from pathlib import Path

import pytest

from sinks.clickhouse.embedded import configuration
from sinks.clickhouse.embedded.configuration import MEMORY_BYTES_MIN, default_memory_bytes, write_config

_DEPLOYED = Path(__file__).parents[3] / "deploy/clickhouse"


@pytest.fixture
def users(tmp_path: Path) -> ElementTree.Element:
    """The file of users, as the configuration names it."""
    config = ElementTree.parse(write_config(tmp_path, memory_bytes=1_000_000)).getroot()
    assert config.findtext("max_server_memory_usage") == "1000000"
    return ElementTree.parse(str(config.findtext("users_config"))).getroot()


def test_no_source_is_granted(users: ElementTree.Element) -> None:
    """Files, addresses, dictionaries (one kind runs commands) and foreign table engines are nobody's."""
    grants = " ".join(grant.text or "" for grant in users.iter("query"))
    for word in (
        "FILE",
        "URL",
        "REMOTE",
        "S3",
        "Kafka",
        "ALL",
        "SYSTEM ON",
        "SHUTDOWN",
        "BACKUP",
        "USER",
        "DICT",
    ):
        assert word not in grants
    assert users.findtext("profiles/default/async_insert") == "0"


def test_merges_come_behind_what_people_wait_for(tmp_path: Path) -> None:
    """A server's merges yield as the embedded one's do, by the setting of the same name."""
    name = "os_threads_nice_value_merge_mutate"
    embedded = ElementTree.parse(write_config(tmp_path, memory_bytes=1_000_000)).getroot()
    server = ElementTree.parse(_DEPLOYED / "config.d/throughline.xml").getroot()
    assert int(embedded.findtext(name) or 0) == int(server.findtext(name) or 0) > 0


def test_a_statement_has_less_than_all_and_cannot_take_more(users: ElementTree.Element) -> None:
    """0 would mean no limit: it is below what is allowed."""
    assert users.findtext("profiles/default/max_memory_usage") == "750000"
    allowed = "profiles/default/constraints/max_memory_usage"
    assert (users.findtext(f"{allowed}/min"), users.findtext(f"{allowed}/max")) == ("1", "750000")


def test_memory_is_a_quarter_of_the_machine_or_of_its_container(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whatever is smaller, `max` being no limit, and never so little that nothing works."""
    machine = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    limit = tmp_path / "memory.max"
    monkeypatch.setattr(configuration, "_CGROUP_LIMIT", limit)
    expected = {
        "": machine // 4,
        "max\n": machine // 4,
        f"{machine // 2}\n": machine // 8,
        "1000\n": MEMORY_BYTES_MIN,
    }
    for text, found in expected.items():
        if text:
            limit.write_text(text)
        assert default_memory_bytes() == max(found, MEMORY_BYTES_MIN)
