"""Watching a model after its promotion: what is measured in a window of time may roll it back."""
