"""Delivery: from topics to where people look. Imports schemas, never streams."""
