"""`python -m sinks.clickhouse.embedded DIR`: the warehouse as a process of its own, as `EmbeddedWarehouse` starts it.

Prints its address on a line when it is ready; users and passwords come from the environment, which other users
of the machine cannot read.
"""

from __future__ import annotations

import argparse
import os
import sys
from pathlib import Path

from sinks.clickhouse.embedded.directory import DirectoryTaken
from sinks.clickhouse.embedded.failure import Refused
from sinks.clickhouse.embedded.process import users_of
from sinks.clickhouse.embedded.serving import serve


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m sinks.clickhouse.embedded", description=__doc__)
    parser.add_argument("directory", type=Path)
    parser.add_argument("--port", type=int, default=0, help="0: any free one")
    parser.add_argument("--database", default="throughline", help="where names without a database are")
    parser.add_argument(
        "--memory-bytes", type=int, help="of all statements; a quarter of the machine's by default"
    )
    parser.add_argument("--parent-pid", type=int, help="end when this process, our parent, has ended")
    return parser.parse_args()


def main() -> int:
    """Serve until told to stop; 3 if the directory or the port cannot be had, or two users have one name."""
    asked = _arguments()
    try:
        serve(
            asked.directory,
            users_of(os.environ),
            port=asked.port,
            database=asked.database,
            memory_bytes=asked.memory_bytes,
            on_ready=lambda url: print(url, flush=True),
            parent_pid=asked.parent_pid,
        )
    except (DirectoryTaken, Refused, OSError, ValueError) as error:
        print(error, file=sys.stderr)
        return 3
    return 0


if __name__ == "__main__":
    sys.exit(main())
