"""Several parts together, over real sockets."""
