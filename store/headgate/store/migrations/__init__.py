"""Alembic scripts of the store, shipped in the package."""
