"""An error in the engine's words, and the HTTP status ClickHouse's servers give it. Pure."""

from __future__ import annotations

import re
from typing import Final

_CODE: Final = re.compile(r"Code: (\d+)")
_UNKNOWN: Final = 1002

# As ClickHouse's HTTPHandler maps them; everything else is 500.
_STATUS: Final = {
    27: 400, 36: 400, 38: 400, 41: 400, 43: 400, 53: 400, 62: 400, 69: 400, 72: 400, 117: 400,
    46: 404, 47: 404, 60: 404, 81: 404, 115: 404, 159: 408, 164: 403, 192: 403, 193: 403, 194: 403,
    497: 403, 516: 403, 394: 500, 241: 500,
}  # fmt: skip


class Refused(Exception):
    """What the client is told: `message` begins with the code, as ClickHouse's own do."""

    def __init__(self, message: str) -> None:
        start = message.find("Code: ")
        self.message = message[start:] if start > 0 else message
        found = _CODE.match(self.message)
        self.code = int(found.group(1)) if found else _UNKNOWN
        self.status = _STATUS.get(self.code, 500)
        super().__init__(self.message)


def refusal(code: int, text: str, name: str) -> Refused:
    """A refusal of our own, in ClickHouse's form: `refusal(62, "Empty query.", "SYNTAX_ERROR")`."""
    return Refused(f"Code: {code}. DB::Exception: {text} ({name})")
