"""Where a run or model comes from: the script, its user, its git commit."""

from __future__ import annotations

import getpass
import sys
from functools import lru_cache
from pathlib import Path

from headgate.store.errors import InvalidInput
from headgate.tasks.projects.git import state_of

_COMMIT_CHARACTERS = 8


def git_version_name(app: str, folder: str | Path = ".") -> str:
    """Return a name for this version of an application, after its git commit: ``<app>-<first 8 digits>``.

    With changes that are not committed it ends in ``-dirty``: the code is not that of the commit. Models that are made
    in the same folder carry the whole commit as the tag ``mlflow.source.git.commit``.

    Args:
        app: the application's name.
        folder: any folder of its repository.

    Raises:
        InvalidInput: the folder is in no git repository, or nothing was committed yet.
    """
    state = state_of(Path(folder).resolve())
    if state is None:
        raise InvalidInput(
            f"The version of {app!r} can't be named after a git commit: {str(folder)!r} is in no git repository "
            "with a commit (or git is not installed).",
            remedy="Commit the code, or name the version yourself.",
        )
    return f"{app}-{state.commit[:_COMMIT_CHARACTERS]}{'-dirty' if state.dirty else ''}"


def source_tags() -> dict[str, str]:
    """Return MLflow's tags for what this process makes: user, script, git commit and branch."""
    return dict(_source_tags(str(Path.cwd()), sys.argv[0] if sys.argv else ""))


def source_tags_of(file: str | None) -> dict[str, str]:
    """Return MLflow's tags for what a function in this file makes; None for one that was typed in."""
    return dict(_source_tags(str(Path.cwd()), file or ""))


@lru_cache(maxsize=8)
def _source_tags(folder: str, script: str) -> tuple[tuple[str, str], ...]:
    is_script = bool(script) and Path(script).is_file()
    name = str(Path(script).resolve()) if is_script else (script or sys.executable)
    state = state_of(Path(name).parent if is_script else Path(folder))
    tags = {"mlflow.user": _user(), "mlflow.source.name": name, "mlflow.source.type": "LOCAL"}
    if state is not None:
        tags["mlflow.source.git.commit"] = state.commit
        tags |= {"mlflow.source.git.branch": state.branch} if state.branch else {}
        tags |= {"mlflow.source.git.repoURL": state.repository_url} if state.repository_url else {}
    return tuple(tags.items())


def _user() -> str:
    try:
        return getpass.getuser()
    except (KeyError, OSError):  # a container's user without a name
        return ""
