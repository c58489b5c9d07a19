"""Where a project comes from: a folder, a zip file, or a git repository at a version; with ``#subdirectory``."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import unquote, urlsplit

from headgate.store.errors import InvalidProject
from headgate.tasks.build_once import build_once
from headgate.tasks.projects import git
from headgate.tasks.projects.mlproject import closest, read_project
from headgate.tasks.projects.model import Project
from headgate.tasks.projects.secrets import mask_text

_GIT_URL = re.compile(r"^(?:(?:https?|ssh|git|file)://|[\w.-]+@[\w.-]+:)\S+")


@dataclass(frozen=True, slots=True)
class Source:
    """Where a project's files are, and what they are.

    Args:
        name: as it was given, without credentials; a folder is absolute. MLflow's ``mlflow.source.name``.
        directory: the folder of the project, absolute.
        version: as it was asked for.
        checkout: what was checked out; None for a folder or an archive.
        cached: the top of the checkout or archive, which other runs of the same version share: read it, and run in a
            copy of it. None for a folder of the user's.
    """

    name: str
    directory: Path
    version: str | None = None
    checkout: git.GitState | None = None
    cached: Path | None = None

    def git_state(self) -> git.GitState | None:
        """Return what the folder is at, in git's terms; None when it is in no repository."""
        return self.checkout if self.checkout is not None else git.state_of(self.directory)


def load_project(uri: str | Path, *, version: str | None = None, home: Path | None = None) -> Project:
    """Make a project available and read its MLproject file; nothing is run and nothing is recorded.

    Args:
        uri, version: as :func:`resolve_source` takes them.
        home: Headgate's folder; None takes ``HEADGATE_HOME``.

    Raises:
        InvalidProject: the project can't be found, or its MLproject file is wrong (``file`` and ``line`` say where).
        EnvironmentUnavailable: git is needed and is not installed.
        ProjectUnavailable: a server did not answer; a retry may help.
    """
    if home is None:
        from headgate.store.settings import read_settings

        home = read_settings().home.expanduser().absolute()
    return read_project(resolve_source(uri, version=version, home=home).directory)


def resolve_source(uri: str | Path, *, version: str | None = None, home: Path) -> Source:
    """Make a project's files available.

    Args:
        uri: a folder, a ``file://`` URI, a ``.zip`` file (local or ``http(s)://``), or a git URL; ``#subdirectory``
            behind it says where in there the project is.
        version: branch, tag or commit; only for git. A repository of the user's is read, never changed: the version is
            checked out into the cache.
        home: Headgate's folder; checkouts and unpacked archives are kept in ``projects`` below it. A commit that is
            there is not fetched again.

    Raises:
        InvalidProject: there is no such folder, archive, repository, version or subdirectory.
        EnvironmentUnavailable: git is needed and is not installed.
        ProjectUnavailable: a server did not answer; a retry may help.
    """
    text = str(uri).strip("'\"")
    if not text:
        raise InvalidProject("The project has no path.", remedy="Give a folder, a .zip file or a git URL.", uri=text)
    if version is not None and (not version or version.startswith("-")):
        raise InvalidProject(
            f"{version!r} can't be a version.", remedy="Give a branch, a tag or a commit.", version=version
        )
    place, subdirectory = (text, "") if Path(text).is_dir() else _split(text)
    local = _local(place)
    if place.endswith(".zip"):
        return _archive(place, local, subdirectory, version, home)
    if _is_bare_repository(local):
        return _repository(str(local.absolute()), subdirectory, version, home)
    if local.exists():
        return _folder(local, subdirectory, version, home)
    if _GIT_URL.match(place) and not place.startswith("file:"):
        return _repository(place, subdirectory, version, home)
    raise _no_such_folder(local)


def folder_source(uri: str | Path) -> Source | None:
    """Return where a project's files are, when that is a folder of this machine; nothing is fetched or unpacked.

    Returns:
        None for an archive, a git URL or a bare repository.

    Raises:
        InvalidProject: there is no such folder or subdirectory.
    """
    text = str(uri).strip("'\"")
    place, subdirectory = (text, "") if Path(text).is_dir() else _split(text)
    local = _local(place)
    if place.endswith(".zip") or _is_bare_repository(local):
        return None
    if local.is_dir():
        return Source(_named(str(local.absolute()), subdirectory), _inside(local.absolute(), subdirectory))
    if _GIT_URL.match(place) and not place.startswith("file:"):
        return None
    raise _no_such_folder(local)


def _split(text: str) -> tuple[str, str]:
    place, _, subdirectory = text.partition("#")
    if subdirectory.startswith("/") or ".." in subdirectory.split("/"):
        raise InvalidProject(
            f"The subdirectory {subdirectory!r} leads out of the project.",
            remedy="Give a folder below the top, such as #examples/train.",
            uri=mask_text(text),
        )
    return place, subdirectory.strip("/")


def _local(place: str) -> Path:
    parts = urlsplit(place) if place.startswith("file:") else None
    return Path(place if parts is None else unquote(parts.path))


def _archive(place: str, local: Path, subdirectory: str, version: str | None, home: Path) -> Source:
    from headgate.tasks.projects.archive import unpacked

    if version is not None:
        raise _not_in_git(place)
    remote = place.startswith(("http://", "https://"))
    folder = unpacked(place if remote else str(local), home / "projects")
    name = _named(mask_text(place) if remote else str(local.absolute()), subdirectory)
    return Source(name, _inside(folder, subdirectory), cached=folder)


def _folder(local: Path, subdirectory: str, version: str | None, home: Path) -> Source:
    if not local.is_dir():
        raise InvalidProject(
            f"{local} is a file.", remedy="Give the folder of the project, and its entry point with -e.", uri=str(local)
        )
    local = local.absolute()
    if version is None:
        return Source(_named(str(local), subdirectory), _inside(local, subdirectory))
    top = git.top_of(local)
    if top is None:
        raise _not_in_git(str(local))
    repository, way_down = top
    found = git.resolve_local(repository, version)
    inside = "/".join(part for part in (way_down, subdirectory) if part)
    remote = git.state_of(repository)
    return _checkout(
        str(repository),
        found,
        name=_named(str(local), subdirectory),
        inside=inside,
        version=version,
        repository_url=None if remote is None else remote.repository_url,
        home=home,
    )


def _repository(url: str, subdirectory: str, version: str | None, home: Path) -> Source:
    shown = git.without_credentials(url)
    found = git.resolve_remote(url, version)
    return _checkout(
        url,
        found,
        name=_named(shown, subdirectory),
        inside=subdirectory,
        version=version,
        repository_url=shown,
        home=home,
    )


def _checkout(
    url: str,
    found: git.Version,
    *,
    name: str,
    inside: str,
    version: str | None,
    repository_url: str | None,
    home: Path,
) -> Source:
    origin = hashlib.sha256(git.without_credentials(url).encode()).hexdigest()[:8]
    label = re.sub(r"[^\w.-]", "_", url.rstrip("/").removesuffix(".git").rpartition("/")[2])[:40]
    folder = home / "projects" / f"{label}-{origin}-{found.commit}"
    build_once(folder, lambda target: git.fetch_checkout(url, found.commit, target))
    directory = _inside(folder, inside)
    state = git.GitState(git.head_of(folder), found.branch, repository_url)
    return Source(name, directory, version, state, cached=folder)


def _is_bare_repository(local: Path) -> bool:
    return (local / "HEAD").is_file() and (local / "objects").is_dir() and (local / "refs").is_dir()


def _inside(folder: Path, subdirectory: str) -> Path:
    directory = (folder / subdirectory).absolute()
    if not directory.resolve().is_relative_to(folder.resolve()) or not directory.is_dir():
        raise InvalidProject(
            f"The project has no subdirectory {subdirectory!r}.",
            remedy=_did_you_mean(subdirectory, (path.name for path in folder.iterdir() if path.is_dir()))
            or "Name a folder of it behind #, or leave that out for the project at the top.",
            uri=str(folder),
        )
    return directory


def _named(place: str, subdirectory: str) -> str:
    return f"{place}#{subdirectory}" if subdirectory else place


def _not_in_git(place: str) -> InvalidProject:
    return InvalidProject(
        f"{place} is not in a git repository, so it has no versions.", remedy="Leave the version out.", uri=place
    )


def _no_such_folder(local: Path) -> InvalidProject:
    parent = local.absolute().parent
    names = [path.name for path in parent.iterdir() if path.is_dir()] if parent.is_dir() else []
    remedy = (
        _did_you_mean(local.name, names) or "Give a folder, a .zip file, or a git URL such as https://host/repository."
    )
    return InvalidProject(f"There is no project folder {str(local)!r}.", remedy=remedy, uri=str(local))


def _did_you_mean(name: str, known: Iterable[str]) -> str:
    near = closest(name, known)
    return f"Did you mean {near!r}?" if near else ""
