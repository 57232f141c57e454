"""Laws of the core, room by room."""
