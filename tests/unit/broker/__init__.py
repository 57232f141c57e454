"""Laws of the brokers that need no broker."""
