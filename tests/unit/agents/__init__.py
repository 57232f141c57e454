"""How a worker is built from the settings."""
