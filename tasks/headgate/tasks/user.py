"""Who runs this process."""

from __future__ import annotations

import getpass
import os


def user_name() -> str:
    """Return the name of this process's user; the number of one without a name, as containers have."""
    try:
        return getpass.getuser()
    except (KeyError, OSError, ImportError):
        return str(os.getuid())
