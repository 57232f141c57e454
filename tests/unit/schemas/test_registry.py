"""Publishing to a registry, against a small one that speaks the same protocol."""

from __future__ import annotations

import base64
import json
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, HTTPServer
from typing import Any

import pytest

from schemas.catalog import Catalog
from schemas.registry import RegistryRefused, RegistryUnavailable, publish

CATALOG = Catalog.embedded()


class Registry(HTTPServer):
    """Gives ids from 1, the same for the same subject; `refused` and `garbled` name subjects it won't take."""

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.posted: dict[str, Any] = {}
        self.headers: list[dict[str, str]] = []
        self.refused = self.garbled = ""

    @property
    def host(self) -> str:
        return f"127.0.0.1:{self.server_port}"


class _Handler(BaseHTTPRequestHandler):
    server: Registry

    def do_POST(self) -> None:
        subject = self.path.split("/")[-2]
        posted = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        self.server.headers.append(dict(self.headers))
        self.server.posted[subject] = posted
        answer: Any = {"id": list(self.server.posted).index(subject) + 1}
        status = 200
        if subject == self.server.refused:
            status, answer = 409, {"error_code": 409, "message": "incompatible with an earlier schema"}
        if subject == self.server.garbled:
            answer = {"hello": "world"}
        body = json.dumps(answer).encode()
        self.send_response(status)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, format: str, *args: object) -> None:
        """Say nothing."""


@pytest.fixture
def registry() -> Iterator[Registry]:
    server = Registry()
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    yield server
    server.shutdown()
    thread.join()
    server.server_close()


def test_every_subject_is_posted_as_it_is(registry: Registry) -> None:
    """34 subjects under Confluent's names, each with its whole schema; the ids are the registry's."""
    ids = dict(publish(f"http://{registry.host}/", CATALOG))
    assert ids == {f"{subject}-value": place for place, subject in enumerate(CATALOG.subjects(), 1)}
    for subject in CATALOG.subjects():
        posted = registry.posted[f"{subject}-value"]
        assert posted["schemaType"] == "AVRO"
        assert json.loads(posted["schema"]) == CATALOG.schema(CATALOG.id_of(subject))


def test_credentials_in_the_address_become_a_header(registry: Registry) -> None:
    """User and password are not sent in the path, and are unquoted first."""
    next(publish(f"http://ann:p%40ss@{registry.host}", CATALOG))
    assert registry.headers[0]["Authorization"] == "Basic " + base64.b64encode(b"ann:p@ss").decode()
    assert registry.headers[0]["Content-Type"] == "application/vnd.schemaregistry.v1+json"


def test_a_refusal_says_which_schema_and_why(registry: Registry) -> None:
    """What was taken before it is known; what comes after is not posted."""
    registry.refused = "touchpoints.app-value"
    taken = publish(f"http://{registry.host}", CATALOG)
    assert next(taken) == ("touchpoints.web-value", 1)
    with pytest.raises(
        RegistryRefused, match=r"touchpoints\.app-value: 409 incompatible with an earlier schema"
    ):
        next(taken)
    assert len(registry.posted) == 2


def test_an_answer_without_an_id_is_a_refusal(registry: Registry) -> None:
    """Something answers there, but it is no registry."""
    registry.garbled = "touchpoints.web-value"
    with pytest.raises(RegistryRefused, match="no id"):
        list(publish(f"http://{registry.host}", CATALOG))


@pytest.mark.parametrize("url", ["http://127.0.0.1:9", "ftp://127.0.0.1", "localhost:8081", ""])
def test_nobody_there_is_told_apart(url: str) -> None:
    """A broken dependency is another exception than a refusal, and shows no password."""
    with pytest.raises(RegistryUnavailable):
        list(publish(url, CATALOG))
    with pytest.raises(RegistryUnavailable) as raised:
        list(publish("http://ann:secret@127.0.0.1:9", CATALOG))
    assert "secret" not in str(raised.value)
