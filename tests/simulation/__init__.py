"""All tasks in one process under a seeded, hostile scheduler."""
