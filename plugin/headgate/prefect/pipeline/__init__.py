"""Whole projects as flows: a pipeline file becomes a flow whose tasks are its steps."""
