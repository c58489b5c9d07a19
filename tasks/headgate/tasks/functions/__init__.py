"""Python functions of the user's own as recorded runs."""
