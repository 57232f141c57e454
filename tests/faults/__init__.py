"""What happens to workers, brokers and connections, on a real Kafka; and that nothing is missing, doubled or wrong."""
