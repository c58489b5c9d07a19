"""One module per command or group of commands. Each imports click and the standard library; the rest when it runs."""
