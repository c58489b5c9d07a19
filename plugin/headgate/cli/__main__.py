"""``python -m headgate.cli`` is ``headgate``."""

from __future__ import annotations

from headgate.cli.command_line import main

if __name__ == "__main__":
    main(prog_name="headgate")
