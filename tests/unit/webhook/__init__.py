"""Laws of the webhook sink."""
