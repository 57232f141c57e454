"""What the sink and the embedded warehouse decide without Kafka and ClickHouse."""
