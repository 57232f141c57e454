"""What it costs, measured and reported, never asserted."""
