"""Where entry points run: the caller's own Python, a virtualenv, a conda environment, or a docker container."""
