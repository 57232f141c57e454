"""The simulated shop: what it emits, what it knows to be true, and how a warehouse is held against that."""
