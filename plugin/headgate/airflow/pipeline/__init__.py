"""Whole projects as DAGs: a pipeline file becomes the tasks of a DAG, or of a group in a DAG that is there already."""
