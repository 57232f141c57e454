"""The independent answer: slow, offline, imports nothing of streams or sinks."""
