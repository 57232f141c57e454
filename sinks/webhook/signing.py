"""Signatures of requests, as Standard Webhooks 1.0 has them. Pure; knows nothing of actions.

Three headers: `webhook-id` (the same for every attempt at one event), `webhook-timestamp` (epoch seconds of the
attempt) and `webhook-signature`, one `v1,<base64>` a secret with a space between, so that a secret can be changed
while both are known. Signed is `<id>.<timestamp>.<body>` with HMAC-SHA256. A receiver checks it like this, and
refuses a timestamp that is minutes away from its own clock:

    import base64, hashlib, hmac


    def is_genuine(secret: str, headers: dict[str, str], body: bytes) -> bool:
        key = secret.encode()
        if secret.startswith("whsec_"):
            key = base64.b64decode(secret.removeprefix("whsec_"))
        signed = f"{headers['webhook-id']}.{headers['webhook-timestamp']}.".encode() + body
        expected = base64.b64encode(hmac.new(key, signed, hashlib.sha256).digest()).decode()
        sent = headers["webhook-signature"].split()
        return any(hmac.compare_digest(each, f"v1,{expected}") for each in sent)
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import hmac
from collections.abc import Sequence
from typing import Final

__all__ = ["BadSecret", "key_of", "signed_headers"]

_PREFIX: Final = "whsec_"
_LEAST_BYTES: Final = 24
"""Standard Webhooks: between 24 and 64 bytes; longer ones do no harm."""


class BadSecret(ValueError):
    """A text that cannot be a secret; says why, without it."""


def key_of(secret: str) -> bytes:
    """The key a secret stands for: `whsec_` and base64, or any other text as it is. Raises BadSecret."""
    text = secret.strip()
    key = text.encode()
    if text.startswith(_PREFIX):
        try:
            key = base64.b64decode(text.removeprefix(_PREFIX), validate=True)
        except binascii.Error:
            raise BadSecret(f"behind {_PREFIX} stands no base64") from None
    if len(key) < _LEAST_BYTES:
        raise BadSecret(f"has {len(key)} bytes, and needs {_LEAST_BYTES} or more")
    return key


def signed_headers(
    keys: Sequence[bytes], webhook_id: str, *, timestamp_s: int, body: bytes
) -> dict[str, str]:
    """The three headers of one attempt, with one signature a key."""
    signed = f"{webhook_id}.{timestamp_s}.".encode() + body
    signatures = (base64.b64encode(hmac.new(key, signed, hashlib.sha256).digest()).decode() for key in keys)
    return {
        "webhook-id": webhook_id,
        "webhook-timestamp": str(timestamp_s),
        "webhook-signature": " ".join(f"v1,{signature}" for signature in signatures),
    }
