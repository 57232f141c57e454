"""History from files into Kafka, in event-time order and with clock ticks."""
