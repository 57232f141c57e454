"""Tests of what a report holds and how it is shown."""
