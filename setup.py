"""Compiles the hot path with mypyc: the same Python, several times faster. `make` does it where there is a C compiler.

Everything runs without, from the same files. What is compiled is decided here alone: pure modules on the path of every
touchpoint. Their classes are sealed (no subclasses, no attributes set from outside), so shapes that msgspec makes stay
in modules of their own, interpreted.
"""

from setuptools import setup

COMPILED = (
    "schemas/wire.py",
    "schemas/decision_writer.py",
    "schemas/touchpoint_reader.py",
    "schemas/writer.py",
    "sinks/clickhouse/rows.py",
    "streams/core/actions.py",
    "streams/core/actor.py",
    "streams/core/actors.py",
    "streams/core/acts.py",
    "streams/core/arrivals.py",
    "streams/core/belongings.py",
    "streams/core/browses.py",
    "streams/core/carts.py",
    "streams/core/changed.py",
    "streams/core/claims.py",
    "streams/core/clock.py",
    "streams/core/contests.py",
    "streams/core/control.py",
    "streams/core/courses.py",
    "streams/core/decided.py",
    "streams/core/due.py",
    "streams/core/effects.py",
    "streams/core/entries.py",
    "streams/core/handover.py",
    "streams/core/identifier.py",
    "streams/core/identity.py",
    "streams/core/journal.py",
    "streams/core/left_out.py",
    "streams/core/limits.py",
    "streams/core/links.py",
    "streams/core/normalise.py",
    "streams/core/numbering.py",
    "streams/core/outbox.py",
    "streams/core/outputs.py",
    "streams/core/partings.py",
    "streams/core/profile.py",
    "streams/core/roster.py",
    "streams/core/sessions.py",
    "streams/core/shelf.py",
    "streams/core/shopping.py",
    "streams/core/step.py",
    "streams/core/stitching.py",
    "streams/core/timers.py",
    "streams/core/touchpoint.py",
    "streams/core/vocabulary.py",
    "streams/core/weighing.py",
)

try:
    from mypyc.build import mypycify
except ImportError:
    extensions = []
else:
    extensions = mypycify(
        [*COMPILED], opt_level="3", debug_level="0", group_name="schemas.hot", verbose=False
    )

setup(ext_modules=extensions)
