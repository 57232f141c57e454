"""The rules, pure: no Faust, no asyncio, no clock, no randomness, no I/O."""
