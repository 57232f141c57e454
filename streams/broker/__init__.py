"""Kafka without a cluster: an embedded broker, and a local one-node Kafka."""
