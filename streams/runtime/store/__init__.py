"""Stores: where the state of a task lives between commits. All pass the same contract tests."""
