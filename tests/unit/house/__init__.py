"""The house itself: settings, packaging, deployment files, the command line."""
