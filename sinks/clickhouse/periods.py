"""Views of a period, made of the views of all time: the same question, asked of some days alone.

A view of which there is one says so in a line `-- Of a period too.` Its variant, NAME_between(since, until), reads
`touchpoints_between` in place of all touchpoints, and other such views by their variants; what only the variant says
stands in comments `/* period: … */`, in which {begin} and {end} are the first moment and the one after the last. Pure
text; must not know what any view means.
"""

from __future__ import annotations

import re
from collections.abc import Collection
from typing import Final

__all__ = ["SUFFIX", "has_period", "of_a_period", "with_hint"]

SUFFIX: Final = "_between"
_MARK: Final = "-- Of a period too.\n"
_PARAMETERS: Final = "since = {since:Date}, until = {until:Date}"
_BEGIN: Final = "toDateTime64({since:Date}, 3, 'UTC')"
_END: Final = "toDateTime64({until:Date} + 1, 3, 'UTC')"
_ALL_TOUCHPOINTS: Final = {"touchpoints_once": "touchpoints", "contact_touchpoints": "touchpoints"}
_READ: Final = re.compile(r"\b(FROM|JOIN) (\w+)\b(?:\(([^()]*)\))?")
_ONLY: Final = re.compile(r"/\* period: (.+?) \*/", re.S)
_COMMENT: Final = "\nCOMMENT '"
_TAKES: Final = "a day among ten million touchpoints takes two cores less than two seconds"
"""Seen with half of the people two before, which is what costs: `tests/bench/warehouse.py`."""


def has_period(sql: str) -> bool:
    """Whether the view of this file has a variant."""
    return sql.startswith(_MARK)


def with_hint(name: str, sql: str) -> str:
    """The view of all time, whose comment says what is sooner."""
    return (
        sql.removesuffix("';\n")
        + f" Of some days, {name}{SUFFIX}(since, until) has the same sooner: {_TAKES}.';\n"
    )


def of_a_period(name: str, sql: str, having: Collection[str]) -> str:
    """The variant of a view; `having` are the names of all that have one."""
    body, comment = sql.removeprefix(_MARK).split(_COMMENT)
    body = body.replace(f"VIEW {name} AS", f"VIEW {name}{SUFFIX} AS")
    body = _ONLY.sub(lambda only: only[1].replace("{begin}", _BEGIN).replace("{end}", _END), body)
    known = {**_ALL_TOUCHPOINTS, **{each: each for each in having}}

    def read(found: re.Match[str]) -> str:
        keyword, view, arguments = found.groups()
        if view not in known:
            return found[0]
        return f"{keyword} {known[view]}{SUFFIX}({arguments + ', ' if arguments else ''}{_PARAMETERS})"

    asked = f"{name}{SUFFIX}(since = \\'2025-06-01\\', until = \\'2025-06-30\\', …)"
    said = f"{asked}: of what happened in these days alone (UTC), both included; {_TAKES}. "
    return _READ.sub(read, body) + _COMMENT + said + comment
