"""HTML put together so that text stays text: whatever is no `Html` is escaped, in content and in attributes.

Must not know what a page is about.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from html import escape


@dataclass(frozen=True, slots=True)
class Html:
    """Markup that is finished: only `element`, `joined` and constants of ours make it."""

    text: str


Part = Html | str

_VOID = frozenset({"meta", "link", "br", "hr", "img"})


def element(name: str, /, *parts: Part, **attributes: str | float) -> Html:
    """`<name attribute="…">parts</name>`.

    In names of attributes an underscore stands for a hyphen, one at the end for nothing (`class_`).
    """
    said = "".join(f' {_named(key)}="{_said(value)}"' for key, value in attributes.items())
    if name in _VOID:
        return Html(f"<{name}{said}>")
    return Html(f"<{name}{said}>{joined(parts).text}</{name}>")


def joined(parts: Iterable[Part]) -> Html:
    """One after the other."""
    return Html("".join(part.text if isinstance(part, Html) else _clean(part) for part in parts))


def _named(key: str) -> str:
    return key.rstrip("_").replace("_", "-")


def _said(value: str | float) -> str:
    if isinstance(value, float):
        return f"{value:.2f}".rstrip("0").rstrip(".")
    return _clean(str(value))


def _clean(text: str) -> str:
    """Escaped; what HTML has no character for is spelled out."""
    said = "".join(each if each.isprintable() or each == "\n" else repr(each)[1:-1] for each in text)
    return escape(said, quote=True)
