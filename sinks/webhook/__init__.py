"""Actions to HTTP endpoints: signed, in order, at least once under an idempotency key, until they expire."""
