"""The embedded warehouse as a child process: started, found, stopped. Loads neither chDB nor aiohttp."""

from __future__ import annotations

import os
import select
import subprocess
import sys
import tempfile
import time
from collections.abc import Mapping
from pathlib import Path
from types import TracebackType
from typing import IO, Final, Self

from sinks.clickhouse.embedded.users import Credentials, Users

_USER: Final = "THROUGHLINE_CLICKHOUSE_USER"
_PASSWORD: Final = "THROUGHLINE_CLICKHOUSE_PASSWORD"
_READER: Final = "THROUGHLINE_WAREHOUSE_READER"
_READER_PASSWORD: Final = "THROUGHLINE_WAREHOUSE_READER_PASSWORD"
_START_TIMEOUT_S: Final = 60.0
_STOP_TIMEOUT_S: Final = 15.0
_SAID_BYTES: Final = 2_000


def users_of(environ: Mapping[str, str]) -> Users:
    """The users that `EmbeddedWarehouse.start` has named in its child's environment."""
    owner = Credentials(environ.get(_USER, "throughline"), environ.get(_PASSWORD, "throughline"))
    password = environ.get(_READER_PASSWORD, "")
    return Users(owner, Credentials(environ.get(_READER, "reader"), password) if password else None)


class WarehouseDidNotStart(Exception):
    """The process ended, or stayed silent; the message is what it said."""


class EmbeddedWarehouse:
    """A running warehouse over a directory: `url`, `user` and `password` are all a client needs.

    It ends with `stop`, with the `with` block, or with this process, however that ends.
    """

    def __init__(self, child: subprocess.Popen[bytes], *, url: str, user: str, password: str) -> None:
        self._child = child
        self.url = url
        self.user = user
        self.password = password

    @classmethod
    def start(
        cls,
        directory: Path,
        port: int = 0,
        *,
        user: str = "throughline",
        password: str = "throughline",
        reader: Credentials | None = None,
        database: str = "throughline",
        memory_bytes: int | None = None,
    ) -> Self:
        """Open the directory (made if there is none) and wait until it answers. Raises WarehouseDidNotStart.

        A `reader` may only read. All statements together may use `memory_bytes`, by default a quarter of the
        machine's.
        """
        command = [sys.executable, "-m", "sinks.clickhouse.embedded", str(directory)]
        options = ["--port", str(port), "--parent-pid", str(os.getpid()), "--database", database]
        if memory_bytes is not None:
            options += ["--memory-bytes", str(memory_bytes)]
        told = {_USER: user, _PASSWORD: password, _READER_PASSWORD: reader.password if reader else ""}
        if reader:
            told[_READER] = reader.user
        with tempfile.TemporaryFile() as said:
            child = subprocess.Popen(
                [*command, *options],
                stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE,
                stderr=said,
                env={**os.environ, **told},
                start_new_session=True,  # Ctrl-C is for the parent, which stops its children in order
            )
            url = _first_line(child, _START_TIMEOUT_S)
            if not url:
                _end(child)
                raise WarehouseDidNotStart(_tail(said) or f"{directory}: no answer, exit {child.returncode}")
        return cls(child, url=url, user=user, password=password)

    @property
    def pid(self) -> int:
        """The process."""
        return self._child.pid

    def is_running(self) -> bool:
        """Whether the process lives."""
        return self._child.poll() is None

    def stop(self) -> None:
        """Close the directory and end the process; quietly if it has ended."""
        _end(self._child)

    def kill(self) -> None:
        """End the process as a crash would."""
        self._child.kill()
        _end(self._child)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()


def _first_line(child: subprocess.Popen[bytes], timeout_s: float) -> str:
    """The first line of its output; empty if it ended or said nothing in time."""
    if child.stdout is None:
        return ""
    line = b""
    deadline_s = time.monotonic() + timeout_s
    while not line.endswith(b"\n") and (left_s := deadline_s - time.monotonic()) > 0:
        if select.select([child.stdout], [], [], left_s)[0]:
            read = os.read(child.stdout.fileno(), 4096)
            if not read:
                break
            line += read
    return line.decode().strip() if line.endswith(b"\n") else ""


def _end(child: subprocess.Popen[bytes]) -> None:
    if child.poll() is None:
        child.terminate()
        try:
            child.wait(_STOP_TIMEOUT_S)
        except subprocess.TimeoutExpired:
            child.kill()
            child.wait()
    if child.stdout is not None:
        child.stdout.close()


def _tail(file: IO[bytes]) -> str:
    file.seek(0)
    lines = file.read()[-_SAID_BYTES:].decode(errors="replace").strip().splitlines()
    return lines[-1] if lines else ""
