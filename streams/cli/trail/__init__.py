"""Why an identifier belongs to whom: asked of the warehouse, put together, shown."""
