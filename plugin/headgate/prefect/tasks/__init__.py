"""Tasks for the flows that you have, one a module."""
