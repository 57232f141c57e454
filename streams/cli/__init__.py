"""The command line: one file a command. The only place that may know every room."""
