"""librdkafka's mock cluster, reached through the library that confluent-kafka brings along.

Role: find the shared library and drive a mock cluster by ctypes. Must not know topics of ours, processes or settings.
"""

from __future__ import annotations

import ctypes
import sys
from collections.abc import Iterator
from importlib.util import find_spec
from pathlib import Path
from types import TracebackType

__all__ = ["LibraryMissing", "MockCluster", "MockFailed", "candidates", "load"]

_PRODUCER = 0
_CONF_OK = 0
_BROKER_ID = 1
_ERROR_BYTES = 512
#: Critical only: a handle that never connects anywhere would warn of exactly that.
_LOG_LEVEL = b"2"


class LibraryMissing(RuntimeError):
    """No librdkafka with a mock cluster was found; the message says where it was looked for."""


class MockFailed(RuntimeError):
    """librdkafka refused something."""


def candidates(package: Path) -> Iterator[Path]:
    """Where the library may be, for the folder of `confluent_kafka`.

    The extension module first: looking a symbol up through it also finds what it is linked to, however the wheel was
    repaired. Then the bundled files by name: beside the package (Linux wheels), in `.dylibs` (macOS wheels).
    """
    yield from sorted(package.glob("cimpl*.so"))
    yield from sorted(package.with_name("confluent_kafka.libs").glob("librdkafka*"))
    yield from sorted((package / ".dylibs").glob("librdkafka*"))


def load(package: Path | None = None) -> ctypes.CDLL:
    """The library, with the signatures of what we call. Raises LibraryMissing."""
    folder = package or _installed()
    tried = []
    for path in candidates(folder):
        try:
            library = ctypes.CDLL(str(path))
            _declare(library)
        except (OSError, AttributeError) as error:
            tried.append(f"{path}: {error}")
        else:
            return library
    seen = "; ".join(tried) or f"no file of it in {folder}"
    raise LibraryMissing(
        f"the embedded broker needs librdkafka with its mock cluster, as in the confluent-kafka wheels "
        f"for Linux and macOS ({seen}). Install it with: {sys.executable} -m pip install confluent-kafka"
    )


def _installed() -> Path:
    spec = find_spec("confluent_kafka")
    if spec is None or spec.origin is None:
        raise LibraryMissing(
            f"the embedded broker needs confluent-kafka: {sys.executable} -m pip install confluent-kafka"
        )
    return Path(spec.origin).parent


def _declare(library: ctypes.CDLL) -> None:
    pointer, text, number = ctypes.c_void_p, ctypes.c_char_p, ctypes.c_int
    signatures = {
        "rd_kafka_conf_new": (pointer, []),
        "rd_kafka_conf_set": (number, [pointer, text, text, text, ctypes.c_size_t]),
        "rd_kafka_new": (pointer, [number, pointer, text, ctypes.c_size_t]),
        "rd_kafka_destroy": (None, [pointer]),
        "rd_kafka_err2str": (text, [number]),
        "rd_kafka_mock_cluster_new": (pointer, [pointer, number]),
        "rd_kafka_mock_cluster_destroy": (None, [pointer]),
        "rd_kafka_mock_cluster_bootstraps": (text, [pointer]),
        "rd_kafka_mock_topic_create": (number, [pointer, text, number, number]),
        "rd_kafka_mock_broker_set_down": (number, [pointer, ctypes.c_int32]),
        "rd_kafka_mock_broker_set_up": (number, [pointer, ctypes.c_int32]),
        "rd_kafka_mock_group_initial_rebalance_delay_ms": (None, [pointer, ctypes.c_int32]),
    }
    for name, (result, arguments) in signatures.items():
        function = getattr(library, name)
        function.restype, function.argtypes = result, arguments


class MockCluster:
    """One broker in this process, on a free port of the loopback interface."""

    def __init__(self, library: ctypes.CDLL, *, group_delay_ms: int) -> None:
        self._library = library
        self._handle = self._new_handle()
        self._cluster = library.rd_kafka_mock_cluster_new(self._handle, 1)
        if not self._cluster:
            raise MockFailed("librdkafka could not start its mock cluster: is the loopback interface up?")
        library.rd_kafka_mock_group_initial_rebalance_delay_ms(self._cluster, group_delay_ms)

    def _new_handle(self) -> int:
        error = ctypes.create_string_buffer(_ERROR_BYTES)
        conf = self._library.rd_kafka_conf_new()
        if self._library.rd_kafka_conf_set(conf, b"log_level", _LOG_LEVEL, error, _ERROR_BYTES) != _CONF_OK:
            raise MockFailed(error.value.decode())
        handle: int | None = self._library.rd_kafka_new(_PRODUCER, conf, error, _ERROR_BYTES)
        if not handle:
            raise MockFailed(error.value.decode())
        return handle

    @property
    def bootstrap(self) -> str:
        """`host:port`."""
        address: bytes = self._library.rd_kafka_mock_cluster_bootstraps(self._cluster)
        return address.decode()

    def create_topic(self, name: str, partitions: int) -> None:
        """A topic, empty. Raises MockFailed."""
        self._check(
            self._library.rd_kafka_mock_topic_create(self._cluster, name.encode(), partitions, 1),
            f"topic {name} with {partitions} partitions",
        )

    def down(self) -> None:
        """Cut every connection and accept none; records and offsets are kept."""
        self._check(self._library.rd_kafka_mock_broker_set_down(self._cluster, _BROKER_ID), "down")

    def up(self) -> None:
        """Accept connections again, on the same port."""
        self._check(self._library.rd_kafka_mock_broker_set_up(self._cluster, _BROKER_ID), "up")

    def _check(self, code: int, what: str) -> None:
        if code:
            reason: bytes = self._library.rd_kafka_err2str(code)
            raise MockFailed(f"{what}: {reason.decode()}")

    def close(self) -> None:
        """End it; its records are gone."""
        self._library.rd_kafka_mock_cluster_destroy(self._cluster)
        self._library.rd_kafka_destroy(self._handle)

    def __enter__(self) -> MockCluster:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()
