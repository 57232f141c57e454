"""Compute: from touchpoints to people, sessions, carts and actions. Knows no sink."""
