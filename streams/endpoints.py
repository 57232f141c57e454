"""Settings of the webhook sink: who is told of actions, and how hard it may be pressed.

A part of `streams.settings`, which reads them. Secrets never stand here, only where each one is.
"""

from __future__ import annotations

import re
from typing import Annotated
from urllib.parse import urlsplit

from pydantic import AfterValidator, Field

from streams.accepted import known_channels, unique
from streams.layered import Section, did_you_mean

__all__ = ["EndpointSettings", "Webhook"]

_NEAR = frozenset({"127.0.0.1", "localhost", "::1"})


def _safe_url(url: str) -> str:
    """HTTPS, or HTTP to this machine."""
    try:
        parts = urlsplit(url)
        host = parts.hostname
    except ValueError:
        host = None
    if not host or parts.scheme not in ("http", "https"):
        raise ValueError("must be an address like https://crm.example/actions")
    if parts.username is not None:
        raise ValueError("must hold no user or password: the signature says who sends")
    if parts.scheme == "http" and host not in _NEAR:
        raise ValueError("must begin with https://; http:// is for this machine alone (127.0.0.1, localhost)")
    return url


def _references(secrets: tuple[str, ...]) -> tuple[str, ...]:
    """Where secrets are; what is none is not repeated, for it may be a secret."""
    for place, reference in enumerate(secrets, 1):
        if not re.fullmatch(r"env:[A-Za-z_][A-Za-z0-9_]*|file:.+", reference):
            raise ValueError(
                f"number {place} is neither env:NAME nor file:PATH; a secret itself never stands here"
            )
    return secrets


def _known_triggers(names: tuple[str, ...]) -> tuple[str, ...]:
    """What the rules decide on."""
    # Here: commands without endpoints do not need the rules.
    from streams.core.actions import ABANDONED_BROWSE, ABANDONED_CART, ABANDONED_CHECKOUT, PAYMENT_FAILED

    known = (ABANDONED_CART, ABANDONED_CHECKOUT, PAYMENT_FAILED, ABANDONED_BROWSE)
    for name in names:
        if name not in known:
            hint = did_you_mean(name, known)
            raise ValueError(f"{name!r} is no trigger{hint}; triggers are {', '.join(known)}")
    return names


class EndpointSettings(Section):
    """One table `[[webhook.endpoints]]`."""

    name: str = Field(
        pattern=r"^[a-zA-Z0-9][a-zA-Z0-9._-]*$",
        examples=["crm"],
        description="Its consumer group is `<app.name>-webhook-<name>`: another name is another endpoint, told anew.",
    )
    url: Annotated[str, AfterValidator(_safe_url)] = Field(
        examples=["https://crm.example/actions"], description="Where actions are posted."
    )
    secrets: Annotated[tuple[str, ...], AfterValidator(_references), AfterValidator(unique)] = Field(
        min_length=1,
        json_schema_extra={"secret": True},
        description="Where its secrets are, `env:NAME` or `file:PATH`: each signs, so that one can replace another.",
    )
    triggers: Annotated[tuple[str, ...], AfterValidator(_known_triggers), AfterValidator(unique)] = Field(
        default=(), description="Only actions of these triggers; none: all."
    )
    channels: Annotated[tuple[str, ...], AfterValidator(known_channels), AfterValidator(unique)] = Field(
        default=(), description="Only actions that may use one of these channels; none: all."
    )
    recovered: bool = Field(
        default=False, description="Whether it hears that a cart it was told of was bought after all."
    )
    concurrency: int = Field(default=8, ge=1, le=256, description="So many requests at a time.")
    rate_per_s: float = Field(default=50.0, ge=0.0, description="So many requests a second; 0: any number.")
    timeout_s: float = Field(
        default=10.0, gt=0.0, le=300.0, description="A request may take so many seconds."
    )
    first_backoff_s: float = Field(
        default=1.0, gt=0.0, le=3_600.0, description="The longest wait before the second attempt; it doubles."
    )
    most_backoff_s: float = Field(
        default=300.0, gt=0.0, le=86_400.0, description="The longest wait before any attempt."
    )
    backlog: int = Field(
        default=1_000, ge=1, le=100_000, description="With so many actions in memory it reads no further."
    )


def _own_names(endpoints: tuple[EndpointSettings, ...]) -> tuple[EndpointSettings, ...]:
    """Each has its name for itself."""
    unique(tuple(endpoint.name for endpoint in endpoints))
    return endpoints


class Webhook(Section):
    """The sink that posts actions."""

    metrics_port: int = Field(
        default=0, ge=0, le=65535, description="Port of its /metrics, /livez and /readyz; 0: none."
    )
    endpoints: Annotated[tuple[EndpointSettings, ...], AfterValidator(_own_names)] = Field(
        default=(),
        description="Who is told of actions: in place of this line a table `[[webhook.endpoints]]` each, with name, "
        "url and secrets; see deploy/README.md.",
    )
