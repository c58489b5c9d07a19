"""Projects: where they come from, what their MLproject files say, and the commands that come of it."""
