"""Publishing our schemas to a Confluent-compatible registry over HTTP.

Knows the one call of the protocol it needs and nothing of files or terminals. Subjects follow Confluent's
TopicNameStrategy: ours plus `-value`.
"""

from __future__ import annotations

import base64
import json
import urllib.error
import urllib.request
from collections.abc import Iterator
from urllib.parse import quote, unquote, urlsplit, urlunsplit

from schemas.catalog import Catalog, Schema

__all__ = ["RegistryRefused", "RegistryUnavailable", "publish"]

_MEDIA_TYPE = "application/vnd.schemaregistry.v1+json"


class RegistryRefused(Exception):
    """The registry answered, and did not take the schema."""


class RegistryUnavailable(Exception):
    """No registry answered at this address."""


def publish(url: str, catalog: Catalog, *, timeout_s: float = 10.0) -> Iterator[tuple[str, int]]:
    """Post every subject's schema, giving (registry subject, id) as each is taken.

    Posting again gives the same ids. `url` may hold user and password. Raises RegistryRefused or
    RegistryUnavailable.
    """
    address, headers = _with_credentials(url)
    for subject in catalog.subjects():
        name = f"{subject}-value"
        schema_id = _post(address, name, catalog.schema(catalog.id_of(subject)), headers, timeout_s)
        yield name, schema_id


def _with_credentials(url: str) -> tuple[str, dict[str, str]]:
    """The address without credentials, and the headers that carry them."""
    parts = urlsplit(url)
    if parts.scheme not in ("http", "https") or not parts.hostname:
        raise RegistryUnavailable(f"not an http address: {parts.scheme}://{parts.hostname or ''}")
    headers = {"Content-Type": _MEDIA_TYPE, "Accept": _MEDIA_TYPE}
    if parts.username is not None:
        pair = f"{unquote(parts.username)}:{unquote(parts.password or '')}"
        headers["Authorization"] = "Basic " + base64.b64encode(pair.encode()).decode()
    host = parts.netloc.rpartition("@")[2]
    return urlunsplit((parts.scheme, host, parts.path.rstrip("/"), "", "")), headers


def _post(address: str, name: str, schema: Schema, headers: dict[str, str], timeout_s: float) -> int:
    body = json.dumps({"schemaType": "AVRO", "schema": json.dumps(schema)}).encode()
    request = urllib.request.Request(
        f"{address}/subjects/{quote(name)}/versions", data=body, headers=headers, method="POST"
    )
    try:
        with urllib.request.urlopen(request, timeout=timeout_s) as response:
            return int(json.load(response)["id"])
    except urllib.error.HTTPError as error:
        with error:
            raise RegistryRefused(f"{name}: {error.code} {_message(error.read())}") from error
    except (urllib.error.URLError, TimeoutError, ConnectionError) as error:
        raise RegistryUnavailable(f"{address}: {getattr(error, 'reason', error)}") from error
    except (ValueError, KeyError, TypeError) as error:
        raise RegistryRefused(f"{name}: the answer holds no id") from error


def _message(answer: bytes) -> str:
    try:
        return str(json.loads(answer)["message"])
    except (ValueError, KeyError, TypeError):
        return answer[:200].decode("utf-8", "replace")
