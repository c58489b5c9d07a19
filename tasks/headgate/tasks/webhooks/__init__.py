"""Webhooks: the store's events sent over HTTP, signed, in order per model, at least once."""
