"""Topics into ClickHouse, exactly once."""
