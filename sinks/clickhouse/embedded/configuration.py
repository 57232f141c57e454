"""What the engine is opened with: memory, grants, and settings nobody may change. Must not load chDB.

chDB is made for programs that own their machine: it reads any file and runs any command its user may. A warehouse
that others ask over HTTP must not; grants, constraints and paths to nowhere say so here. What the engine has no
rule for, `statement` refuses in front of it.
"""

from __future__ import annotations

import os
from pathlib import Path
from typing import Final

CONFIG_NAME: Final = "throughline-config.xml"
USERS_NAME: Final = "throughline-users.xml"
MEMORY_BYTES_MIN: Final = 256_000_000
VALUES_EXPRESSIONS: Final = (
    "input_format_values_interpret_expressions",
    "input_format_values_deduce_templates_of_expressions",
)
"""Settings that nobody may name: whether VALUES may hold expressions."""
# Merges of a table of this many columns take more time than its inserts: rows that come are to wait for none of them.
_MERGE_NICENESS: Final = 10
_CGROUP_LIMIT: Final = Path("/sys/fs/cgroup/memory.max")
_NOWHERE: Final = "/nonexistent/"

# What keeps its data in the directory or computes. Everything else opens files or connections of this machine,
# and a failed CREATE of some (Kafka) leaves the directory unopenable.
_TABLE_ENGINES: Final = (
    "MergeTree", "ReplacingMergeTree", "SummingMergeTree", "AggregatingMergeTree", "CollapsingMergeTree",
    "VersionedCollapsingMergeTree", "Memory", "Null", "Set", "Join", "Buffer", "Merge", "Log", "TinyLog",
    "StripeLog", "View", "MaterializedView", "GenerateRandom",
)  # fmt: skip

# Without CREATE of sources (READ ON FILE, URL, REMOTE, …), users, named collections; without SYSTEM SHUTDOWN.
# Without CREATE DICTIONARY: its sources ask for no grant, and one of them runs commands.
_GRANTS: Final = (
    "GRANT SELECT, INSERT, ALTER, CREATE DATABASE, CREATE TABLE, CREATE VIEW, CREATE TEMPORARY TABLE, "
    "CREATE FUNCTION, DROP, UNDROP TABLE, OPTIMIZE, SHOW, TRUNCATE, dictGet, KILL QUERY, SYSTEM MERGES ON *.*",
    *(f"GRANT TABLE ENGINE ON {name}" for name in _TABLE_ENGINES),
)

# Settings that name files, other disks or other catalogues.
_FIXED: Final = (
    "merge_tree_disk", "merge_tree_storage_policy", "format_template_resultset", "format_template_row",
    "format_schema", "input_format_record_errors_file_path", "allow_experimental_eval_table_function",
    "allow_database_iceberg", "allow_database_unity_catalog", "allow_database_glue_catalog",
    "allow_experimental_database_hms_catalog", "allow_experimental_database_paimon_rest_catalog",
)  # fmt: skip


def default_memory_bytes() -> int:
    """A quarter of what this machine has, or of what its container may use; 256 MB at least."""
    held = [os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")]
    try:
        limit = _CGROUP_LIMIT.read_text().strip()
    except OSError:
        limit = "max"
    if limit.isdecimal():
        held.append(int(limit))
    return max(min(held) // 4, MEMORY_BYTES_MIN)


def write_config(directory: Path, *, memory_bytes: int) -> Path:
    """Write the engine's configuration into the directory, as it must be at every opening; its path.

    All statements together may use `memory_bytes`, one of them three quarters of that.
    """
    users = directory / USERS_NAME
    users.write_text(_users_xml(memory_bytes))
    config = directory / CONFIG_NAME
    config.write_text(
        "<clickhouse>\n"
        f"  <max_server_memory_usage>{memory_bytes}</max_server_memory_usage>\n"
        f"  <mark_cache_size>{memory_bytes // 32}</mark_cache_size>\n"
        f"  <os_threads_nice_value_merge_mutate>{_MERGE_NICENESS}</os_threads_nice_value_merge_mutate>\n"
        f"  <user_scripts_path>{_NOWHERE}</user_scripts_path>\n"
        f"  <users_config>{users.resolve()}</users_config>\n"
        "</clickhouse>\n"
    )
    return config


def _users_xml(memory_bytes: int) -> str:
    per_statement = memory_bytes * 3 // 4
    settings = {
        "async_insert": 0,  # on by default; it would take the deduplication token from its insert
        # What VALUES may hold is code, also in a text (`format(Values, …)`); `running` lets it run where it is safe.
        **dict.fromkeys(VALUES_EXPRESSIONS, 0),
        "max_memory_usage": per_statement,
        "max_bytes_before_external_group_by": memory_bytes // 3,
        "max_bytes_before_external_sort": memory_bytes // 3,
    }
    profile = "".join(f"<{name}>{value}</{name}>" for name, value in settings.items())
    # 0 would mean: no limit.
    memory = f"<max_memory_usage><min>1</min><max>{per_statement}</max></max_memory_usage>"
    constraints = memory + "".join(f"<{name}><const/></{name}>" for name in _FIXED)
    grants = "\n".join(f"      <query>{grant}</query>" for grant in _GRANTS)
    return (
        "<clickhouse>\n"
        f"  <profiles><default>{profile}\n    <constraints>{constraints}</constraints></default></profiles>\n"
        "  <users><default>\n"
        "    <password></password><networks><ip>::/0</ip></networks>\n"
        "    <profile>default</profile><quota>default</quota>\n"
        f"    <grants>\n{grants}\n    </grants>\n"
        "  </default></users>\n"
        "  <quotas><default></default></quotas>\n"
        "</clickhouse>\n"
    )
