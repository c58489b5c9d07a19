"""Git, by its own command: what a folder is at, and checkouts in a cache. Repositories of users are only ever read."""

from __future__ import annotations

import os
import re
import subprocess
from dataclasses import dataclass
from pathlib import Path

from headgate.store.errors import EnvironmentUnavailable, InvalidProject, ProjectUnavailable
from headgate.tasks.projects.secrets import mask_text

_COMMIT = re.compile(r"[0-9a-f]{40}([0-9a-f]{24})?")
_SHORT_COMMIT = re.compile(r"[0-9a-f]{4,64}")
_STATUS = ("status", "--porcelain=v2", "--branch", "--untracked-files=normal", "--ignored=matching")
_NETWORK = re.compile(
    "Could not resolve host|Failed to connect|timed out|Connection (refused|reset|closed)|No route to host"
    "|Network is unreachable|early EOF|RPC failed|The requested URL returned error: 5|temporarily unavailable",
    re.IGNORECASE,
)
_ASK_SECONDS = 10

# Variables by which a git hook or a caller would point our commands at another repository.
_FOREIGN = ("GIT_DIR", "GIT_WORK_TREE", "GIT_INDEX_FILE", "GIT_COMMON_DIR", "GIT_PREFIX", "GIT_OBJECT_DIRECTORY")


@dataclass(frozen=True, slots=True)
class GitState:
    """What a folder is at.

    Args:
        commit: full id.
        branch: None when no branch is checked out.
        repository_url: of the remote ``origin``, or else the first one; without credentials; None if there is none.
        dirty: whether tracked files of the folder differ from the commit.
    """

    commit: str
    branch: str | None = None
    repository_url: str | None = None
    dirty: bool = False


@dataclass(frozen=True, slots=True)
class Version:
    """What a version stands for: a commit, and the branch if it is the name of one."""

    commit: str
    branch: str | None = None


def state_of(directory: Path) -> GitState | None:
    """Return what a folder is at; None outside a repository, in a part of it that is not tracked, or without git.

    Reads only: not even the index is refreshed.
    """
    if not any((folder / ".git").exists() for folder in (directory, *directory.parents)):
        return None
    asked = (
        _start(directory, "-c", "status.relativePaths=true", "--no-optional-locks", *_STATUS, "--", "."),
        _start(directory, "config", "--get-regexp", r"^remote\..*\.url$"),
    )
    status, remotes = map(_answer, asked)
    return None if status is None else parse_state(status, remotes or "")


def parse_state(status: str, remotes: str) -> GitState | None:
    """Read the answers of ``git status --porcelain=v2 --branch`` and ``git config --get-regexp remote``."""
    lines = status.splitlines()
    headers = dict(line.removeprefix("# ").split(" ", 1) for line in lines if line.startswith("# branch."))
    commit = headers.get("branch.oid", "(initial)")
    if not _COMMIT.fullmatch(commit) or "! ./" in lines or "? ./" in lines:
        return None
    branch = headers.get("branch.head")
    urls = dict(line.split(" ", 1) for line in remotes.splitlines() if " " in line)
    url = urls.get("remote.origin.url", next(iter(urls.values()), None))
    return GitState(
        commit=commit,
        branch=None if branch == "(detached)" else branch,
        repository_url=None if url is None else without_credentials(url),
        dirty=any(line.startswith(("1 ", "2 ", "u ")) for line in lines),
    )


def fetch_checkout(url: str, commit: str, folder: Path) -> None:
    """Check out one commit of ``url`` into the new folder ``folder``, with its submodules.

    Args:
        url: anything that ``git fetch`` takes.
        commit: its id; a short one makes git fetch the whole history.
        folder: created here.

    Raises:
        InvalidProject: the repository does not have it, or can't be read.
        ProjectUnavailable: the repository did not answer.
    """
    folder.mkdir(parents=True)
    _run(folder, "init", "--quiet")
    try:
        _run(folder, "fetch", "--quiet", "--depth", "1", "--", url, commit, url=url)
    except InvalidProject:
        # Some servers give no single commits. Then everything is fetched, and the commit is among it.
        _run(folder, "fetch", "--quiet", "--tags", "--", url, "+refs/heads/*:refs/remotes/origin/*", url=url)
    if _answer(_start(folder, "checkout", "--quiet", "--detach", commit)) is None:
        raise _no_version(url, commit)
    if (folder / ".gitmodules").exists():
        _run(folder, "submodule", "--quiet", "update", "--init", "--recursive", "--depth", "1", url=url)


def resolve_remote(url: str, version: str | None) -> Version:
    """Ask a remote repository which commit a version is; None is the head of its default branch.

    Raises:
        InvalidProject: there is no such branch, tag or commit, or the repository can't be read.
        ProjectUnavailable: the repository did not answer.
    """
    tag, branch = f"refs/tags/{version}", f"refs/heads/{version}"
    wanted = ["HEAD"] if version is None else [f"{tag}^{{}}", tag, branch]  # a tag comes before a branch
    commits: dict[str, str] = {}
    head_branch = None
    for line in _run(None, "ls-remote", "--symref", "--", url, *wanted, url=url).splitlines():
        target, _, name = line.partition("\t")
        if target.startswith("ref: "):
            head_branch = target.removeprefix("ref: refs/heads/")
        else:
            commits[name] = target
    found = next((name for name in wanted if name in commits), None)
    if found is not None:
        return Version(commits[found], version if found == branch else head_branch)
    if version is not None and _SHORT_COMMIT.fullmatch(version):
        return Version(version)
    raise _no_version(url, version)


def resolve_local(repository: Path, version: str) -> Version:
    """Return the commit that ``version`` is in a repository on this machine; it may be anything git understands.

    Raises:
        InvalidProject: there is no such version.
    """
    asked = (
        _start(repository, "rev-parse", "--verify", "--quiet", "--end-of-options", f"{version}^{{commit}}"),
        _start(repository, "show-ref", "--verify", "--quiet", f"refs/heads/{version}"),
    )
    commit, branch = map(_answer, asked)
    if not commit:
        raise _no_version(str(repository), version)
    return Version(commit.strip(), None if branch is None else version)


def top_of(directory: Path) -> tuple[Path, str] | None:
    """Return the top folder of the repository that ``directory`` is in, and the way down to it; None outside of one."""
    answer = _answer(_start(directory, "rev-parse", "--show-toplevel", "--show-prefix"))
    if answer is None:
        return None
    top, prefix = answer.split("\n")[:2]
    return Path(top), prefix.rstrip("/")


def head_of(checkout: Path) -> str:
    """Return the full id of the commit that a checkout stands at."""
    return _run(checkout, "rev-parse", "HEAD", url=str(checkout)).strip()


def without_credentials(url: str) -> str:
    """Return a repository's URL without the user name and password that may stand in it."""
    return re.sub(r"^([A-Za-z][A-Za-z0-9+.-]*://)[^/@]*@", r"\1", url)


def _no_version(url: str, version: str | None) -> InvalidProject:
    url = without_credentials(url)
    return InvalidProject(
        f"The repository {url} has no version {version!r}." if version else f"The repository {url} has no commit.",
        remedy="Give a branch, a tag or a commit that exists there.",
        uri=url,
        version=version,
    )


def _start(directory: Path | None, *arguments: str) -> subprocess.Popen[str]:
    variables = {name: value for name, value in os.environ.items() if name not in _FOREIGN}
    variables["GIT_TERMINAL_PROMPT"] = "0"  # a question would wait for ever
    variables.setdefault("GIT_SSH_COMMAND", "ssh -o BatchMode=yes")
    variables["LC_ALL"] = "C.UTF-8"
    try:
        return subprocess.Popen(
            ["git", *arguments],
            cwd=directory,
            env=variables,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            errors="replace",
        )
    except FileNotFoundError as error:
        raise EnvironmentUnavailable(
            "The project is in a git repository, and the program git is not on this machine.",
            remedy="Install git.",
            program="git",
        ) from error


def _answer(process: subprocess.Popen[str]) -> str | None:
    """Return what git answered; None when it said no, or does not answer (a repository on a slow disk)."""
    try:
        output, _ = process.communicate(timeout=_ASK_SECONDS)
    except subprocess.TimeoutExpired:
        return None
    finally:
        _end(process)
    return output if process.returncode == 0 else None


def _end(process: subprocess.Popen[str]) -> None:
    if process.poll() is None:
        process.kill()
        process.communicate()


def _run(directory: Path | None, *arguments: str, url: str = "") -> str:
    """Run git to its end, however long that takes; ``url`` is what the error is about."""
    process = _start(directory, *arguments)
    try:
        output, complaint = process.communicate()
    finally:
        _end(process)
    if process.returncode == 0:
        return output
    url = without_credentials(url)
    said = mask_text(complaint.strip()) or f"git ended with code {process.returncode}"
    if _NETWORK.search(said):
        raise ProjectUnavailable(f"The repository {url} did not answer: {said}", remedy="Try again.", uri=url)
    raise InvalidProject(
        f"The repository {url} can't be read: {said}",
        remedy="Check the URL, and that git may read it without asking for a password.",
        uri=url,
    )
