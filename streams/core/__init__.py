"""What the pipeline decides: pure functions over records and state, without I/O, clocks or frameworks."""
