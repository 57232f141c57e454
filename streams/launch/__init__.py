"""Starts the parts as processes and waits for them; knows none of their insides."""
