"""Operators: one unit of work each, around one call of :mod:`headgate.tasks`."""
