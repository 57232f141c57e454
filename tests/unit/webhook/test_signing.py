"""Signatures: those of Standard Webhooks, checked by somebody who shares no code with us."""

from __future__ import annotations

import re
import textwrap
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from sinks.webhook import signing
from sinks.webhook.endpoint import read_keys
from sinks.webhook.signing import BadSecret, key_of, signed_headers
from tests.conftest import REPOSITORY

# Of the specification's own reference implementations.
KNOWN_SECRET = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"
KNOWN_ID = "msg_p5jXN8AQM9LWM0D4loKWxJek"
KNOWN_BODY = b'{"test": 2432232314}'
KNOWN_SIGNATURE = "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE="
OTHER = "another secret, just as long as that"


def documented() -> Callable[[str, dict[str, str], bytes], bool]:
    """The receiver's code as the documentation shows it: ten lines that people copy."""
    shown = re.search(r"\n(    import base64.*?)\n\n?$", str(signing.__doc__), re.S)
    assert shown is not None
    names: dict[str, Any] = {}
    exec(textwrap.dedent(shown.group(1)), names)
    checked: Callable[[str, dict[str, str], bytes], bool] = names["is_genuine"]
    return checked


def test_signatures_are_those_of_standard_webhooks() -> None:
    """Its published example gives its published signature. Seen to fail with the id left out of what is signed."""
    headers = signed_headers([key_of(KNOWN_SECRET)], KNOWN_ID, timestamp_s=1614265330, body=KNOWN_BODY)
    assert headers == {
        "webhook-id": KNOWN_ID,
        "webhook-timestamp": "1614265330",
        "webhook-signature": KNOWN_SIGNATURE,
    }


@pytest.mark.parametrize("secret", [KNOWN_SECRET, OTHER])
def test_the_documented_receiver_takes_ours_and_nothing_else(secret: str) -> None:
    """The lines in the documentation accept what we sign, and refuse another body, time, id or secret."""
    is_genuine = documented()
    headers = signed_headers([key_of(secret)], "a1:1", timestamp_s=1_700_000_000, body=b"{}")
    assert is_genuine(secret, headers, b"{}")
    assert not is_genuine(secret, headers, b"{ }")
    assert not is_genuine(secret, headers | {"webhook-timestamp": "1700000001"}, b"{}")
    assert not is_genuine(secret, headers | {"webhook-id": "a1:2"}, b"{}")
    assert not is_genuine("a third secret that nobody uses", headers, b"{}")


def test_while_secrets_change_both_verify() -> None:
    """With two secrets a receiver that knows either one is content."""
    headers = signed_headers([key_of(KNOWN_SECRET), key_of(OTHER)], "a1:1", timestamp_s=1, body=b"{}")
    assert documented()(KNOWN_SECRET, headers, b"{}")
    assert documented()(OTHER, headers, b"{}")
    assert len(headers["webhook-signature"].split()) == 2


def test_the_operators_page_shows_the_same_lines() -> None:
    """deploy/README.md has the receiver's code of the module, line for line."""
    shown = re.search(r"    import base64.*?\n\n?$", str(signing.__doc__), re.S)
    assert shown is not None
    assert textwrap.dedent(shown.group()).strip() in (REPOSITORY / "deploy" / "README.md").read_text()


def test_secrets_come_from_variables_and_files(tmp_path: Path) -> None:
    """A file's last line break is none of the secret."""
    file = tmp_path / "secret"
    file.write_text(OTHER + "\n")
    keys = read_keys(["env:CRM_SECRET", f"file:{file}"], {"CRM_SECRET": KNOWN_SECRET})
    assert keys == (key_of(KNOWN_SECRET), OTHER.encode())


@pytest.mark.parametrize(
    ("reference", "said"),
    [
        ("env:NONE", "env:NONE: there is no such variable"),
        ("env:SHORT", "env:SHORT: has 7 bytes, and needs 24 or more"),
        ("env:BROKEN", "env:BROKEN: behind whsec_ stands no base64"),
        ("file:/nowhere/secret", "file:/nowhere/secret: cannot be read: No such file or directory"),
    ],
)
def test_a_secret_that_is_none_is_named_without_being_shown(reference: str, said: str) -> None:
    """The message has the reference and what is wrong, never a byte of the text."""
    with pytest.raises(BadSecret) as refused:
        read_keys([reference], {"SHORT": "hunter2", "BROKEN": "whsec_hunter2!"})
    assert str(refused.value) == said
