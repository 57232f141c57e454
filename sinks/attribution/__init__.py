"""Attribution models that are worked out, not queried: who is credited with an order.

Pure computing over counted journeys. Must not know where journeys come from or where credits go.
"""
