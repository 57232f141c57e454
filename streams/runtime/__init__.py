"""Between poll and commit: transport, tasks, state and dead letters. Decides nothing about customers."""
