"""Laws of starting the line and of what an installation needs."""
