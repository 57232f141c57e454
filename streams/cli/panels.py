"""The groups of `throughline --help`, in the order in which people need them."""

from __future__ import annotations

TRY = "Try it"
RUN = "Run a part"
DATA_IN = "Data in"
ASK = "Ask"
OPERATE = "Operate"

PANELS = (TRY, RUN, DATA_IN, ASK, OPERATE)
