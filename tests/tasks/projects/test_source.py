from __future__ import annotations

import hashlib
import http.server
import os
import subprocess
import threading
import zipfile
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path

import pytest

from headgate.store.errors import EnvironmentUnavailable, InvalidProject, ProjectUnavailable
from headgate.tasks.projects.git import GitState, parse_state, resolve_remote, state_of
from headgate.tasks.projects.source import Source, resolve_source


def git(directory: Path, *arguments: str) -> str:
    identity = ["-c", "user.name=Tester", "-c", "user.email=tester@example.invalid", "-c", "init.defaultBranch=main"]
    ran = subprocess.run(["git", *identity, *arguments], cwd=directory, capture_output=True, text=True, check=True)
    return ran.stdout.strip()


def commit(repository: Path, content: str) -> str:
    (repository / "sub" / "my.project").mkdir(parents=True, exist_ok=True)
    (repository / "sub" / "my.project" / "train.py").write_text(content)
    git(repository, "add", "--all")
    git(repository, "commit", "--quiet", "--message", content)
    return git(repository, "rev-parse", "HEAD")


@pytest.fixture
def repository(tmp_path: Path) -> Path:
    """A repository with tag v1 on its first commit, branch ``side`` on its second, and main ahead of both."""
    folder = tmp_path / "repository"
    folder.mkdir()
    git(folder, "init", "--quiet")
    commit(folder, "one")
    git(folder, "tag", "--annotate", "v1", "--message", "first")
    git(folder, "checkout", "--quiet", "-b", "side")
    commit(folder, "two")
    git(folder, "checkout", "--quiet", "main")
    commit(folder, "three")
    return folder


@pytest.fixture
def bare(repository: Path, tmp_path: Path) -> Path:
    git(tmp_path, "clone", "--quiet", "--bare", str(repository), "bare.git")
    return tmp_path / "bare.git"


@pytest.fixture
def home(tmp_path: Path) -> Path:
    return tmp_path / "home"


def train(source: Source) -> str:
    return (source.directory / "train.py").read_text()


def fingerprint(folder: Path) -> str:
    """Digest of every file below a folder, with its time of change."""
    files = sorted(path for path in folder.rglob("*") if path.is_file())
    seen = [(str(path), path.stat().st_mtime_ns, path.read_bytes()) for path in files]
    return hashlib.sha256(repr(seen).encode()).hexdigest()


class TestFolders:
    @pytest.mark.parametrize("form", ["{}", "file://{}", "'{}'"])
    def test_local(self, tmp_path: Path, home: Path, form: str) -> None:
        folder = tmp_path / "project"
        folder.mkdir()
        source = resolve_source(form.format(folder), home=home)
        assert source == Source(str(folder), folder)
        assert source.git_state() is None
        assert not home.exists()

    def test_relative(self, tmp_path: Path, home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        (tmp_path / "project").mkdir()
        monkeypatch.chdir(tmp_path)
        assert resolve_source(Path("project"), home=home).directory == tmp_path / "project"

    def test_subdirectory(self, repository: Path, home: Path) -> None:
        source = resolve_source(f"{repository}#sub/my.project", home=home)
        assert source.directory == repository / "sub" / "my.project"
        assert source.name == f"{repository}#sub/my.project"

    def test_a_hash_in_a_folders_name(self, tmp_path: Path, home: Path) -> None:
        (tmp_path / "a#b").mkdir()
        assert resolve_source(tmp_path / "a#b", home=home).directory == tmp_path / "a#b"

    @pytest.mark.parametrize(
        ("uri", "says", "remedy"),
        [
            ("{}/projetc", "There is no project folder", "Did you mean 'project'?"),
            ("{}/zzz", "There is no project folder", "Give a folder, a .zip file, or a git URL"),
            ("{}/nowhere/zzz", "There is no project folder", "Give a folder, a .zip file, or a git URL"),
            ("{}/project#inner2", "no subdirectory 'inner2'", "Did you mean 'inner'?"),
            ("{}/project#../other", "leads out of the project", "Give a folder below the top"),
            ("{}/project#/etc", "leads out of the project", "Give a folder below the top"),
            ("{}/project#link", "no subdirectory 'link'", ""),
            ("{}/project#zzz", "no subdirectory 'zzz'", "Name a folder of it behind #"),
            ("{}/project/MLproject", "is a file", "its entry point with -e"),
            ("{}/none.zip", "can't be read", "Check the path"),
            ("", "has no path", "Give a folder"),
        ],
    )
    def test_wrong_places(self, tmp_path: Path, home: Path, uri: str, says: str, remedy: str) -> None:
        project = tmp_path / "project"
        (project / "inner").mkdir(parents=True)
        (project / "MLproject").touch()
        (project / "link").symlink_to("/")
        with pytest.raises(InvalidProject) as caught:
            resolve_source(uri.format(tmp_path), home=home)
        assert says in caught.value.message
        assert remedy in caught.value.remedy
        assert not home.exists()

    def test_a_version_needs_a_repository(self, tmp_path: Path, home: Path) -> None:
        with pytest.raises(InvalidProject, match="is not in a git repository"):
            resolve_source(tmp_path, version="v1", home=home)

    @pytest.mark.parametrize("version", ["", "--upload-pack=x"])
    def test_what_no_version_is(self, repository: Path, home: Path, version: str) -> None:
        with pytest.raises(InvalidProject, match="can't be a version"):
            resolve_source(repository, version=version, home=home)


class TestVersionsOfALocalRepository:
    @pytest.mark.parametrize(
        ("version", "content", "branch"),
        [("v1", "one", None), ("side", "two", "side"), ("main~1", "one", None), ("main", "three", "main")],
    )
    def test_checked_out_elsewhere(
        self, repository: Path, home: Path, version: str, content: str, branch: str | None
    ) -> None:
        (repository / "sub" / "my.project" / "train.py").write_text("not committed")
        before = fingerprint(repository)
        source = resolve_source(f"{repository}#sub/my.project", version=version, home=home)
        assert train(source) == content
        assert source.cached is not None
        assert source.directory.is_relative_to(home)
        state = source.git_state()
        assert state is not None
        assert (state.commit, state.branch) == (git(repository, "rev-parse", f"{version}^{{commit}}"), branch)
        assert fingerprint(repository) == before
        assert git(repository, "remote") == ""

    def test_short_commit(self, repository: Path, home: Path) -> None:
        full = git(repository, "rev-parse", "side")
        source = resolve_source(f"{repository}#sub/my.project", version=full[:8], home=home)
        assert (train(source), source.checkout) == ("two", GitState(full))

    def test_folder_inside_a_repository(self, repository: Path, home: Path) -> None:
        source = resolve_source(repository / "sub", version="v1", home=home)
        assert (source.directory / "my.project" / "train.py").read_text() == "one"

    def test_unknown_version(self, repository: Path, home: Path) -> None:
        with pytest.raises(InvalidProject, match="has no version 'v9'"):
            resolve_source(repository, version="v9", home=home)


class TestGitUrls:
    def url(self, bare: Path, subdirectory: str = "#sub/my.project") -> str:
        return f"file://{bare}{subdirectory}"

    @pytest.mark.parametrize(
        ("version", "content", "branch"), [(None, "three", "main"), ("v1", "one", None), ("side", "two", "side")]
    )
    def test_versions(self, bare: Path, home: Path, version: str | None, content: str, branch: str | None) -> None:
        source = resolve_source(self.url(bare), version=version, home=home)
        assert train(source) == content
        assert source.checkout is not None
        assert source.checkout.branch == branch
        assert source.checkout.repository_url == str(bare)

    @pytest.mark.parametrize("length", [40, 9])
    def test_commits(self, bare: Path, home: Path, length: int) -> None:
        full = git(bare, "rev-parse", "side")
        source = resolve_source(self.url(bare), version=full[:length], home=home)
        assert train(source) == "two"
        assert source.checkout is not None
        assert source.checkout.commit == full

    def test_a_tag_comes_before_a_branch(self, bare: Path, home: Path) -> None:
        git(bare, "branch", "v1", "side")
        assert train(resolve_source(self.url(bare), version="v1", home=home)) == "one"

    def test_a_branch_that_moves_on(self, bare: Path, repository: Path, home: Path) -> None:
        first = resolve_source(self.url(bare), version="main", home=home)
        commit(repository, "four")
        git(repository, "push", "--quiet", str(bare), "main")
        second = resolve_source(self.url(bare), version="main", home=home)
        assert (train(first), train(second)) == ("three", "four")

    def test_a_commit_is_fetched_once(self, bare: Path, home: Path) -> None:
        first = resolve_source(self.url(bare), version="v1", home=home)
        before = fingerprint(home)
        assert resolve_source(self.url(bare), version="v1", home=home) == first
        assert fingerprint(home) == before

    def test_several_at_once(self, bare: Path, home: Path) -> None:
        with ThreadPoolExecutor(4) as pool:
            sources = list(pool.map(lambda _: resolve_source(self.url(bare), version="side", home=home), range(4)))
        assert [train(source) for source in sources] == ["two"] * 4

    def test_a_checkout_that_was_left_half_done_is_made_anew(self, bare: Path, home: Path) -> None:
        source = resolve_source(self.url(bare, ""), version="v1", home=home)
        (source.directory / ".headgate-complete").unlink()
        (source.directory / "sub" / "my.project" / "train.py").write_text("half")
        assert train(resolve_source(self.url(bare), version="v1", home=home)) == "one"

    def test_submodules(self, bare: Path, repository: Path, home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setenv("GIT_CONFIG_COUNT", "1")
        monkeypatch.setenv("GIT_CONFIG_KEY_0", "protocol.file.allow")
        monkeypatch.setenv("GIT_CONFIG_VALUE_0", "always")
        git(repository, "submodule", "--quiet", "add", f"file://{bare}", "inner")
        commit(repository, "five")
        source = resolve_source(f"{repository}#inner/sub/my.project", version="main", home=home)
        assert train(source) == "three"

    def test_unknown_version(self, bare: Path, home: Path) -> None:
        for version in ("v9", "0" * 40, "abcdef0"):
            with pytest.raises(InvalidProject, match=f"has no version '{version}'"):
                resolve_source(self.url(bare), version=version, home=home)

    def test_empty_repository(self, tmp_path: Path, home: Path) -> None:
        git(tmp_path, "init", "--quiet", "--bare", "empty.git")
        with pytest.raises(InvalidProject, match="has no commit"):
            resolve_source(tmp_path / "empty.git", home=home)

    def test_no_server(self, home: Path) -> None:
        with pytest.raises(ProjectUnavailable) as caught:
            resolve_source("http://user:canary@127.0.0.1:1/repository.git", home=home)
        assert caught.value.retryable
        assert "canary" not in str(caught.value) + repr(caught.value.attributes)

    def test_without_git(self, home: Path, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
        monkeypatch.setenv("PATH", str(tmp_path))
        with pytest.raises(EnvironmentUnavailable, match="git is not on this machine"):
            resolve_source("https://host.invalid/repository.git", home=home)

    def test_foreign_git_variables_are_ignored(
        self, bare: Path, home: Path, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
    ) -> None:
        git(tmp_path, "init", "--quiet", "other")
        monkeypatch.setenv("GIT_DIR", str(tmp_path / "other" / ".git"))
        assert train(resolve_source(self.url(bare), version="v1", home=home)) == "one"


class TestStateOfAFolder:
    def test_clean_and_dirty(self, repository: Path) -> None:
        folder = repository / "sub" / "my.project"
        head = git(repository, "rev-parse", "HEAD")
        assert state_of(folder) == GitState(head, "main", None, dirty=False)
        (folder / "new.txt").touch()
        assert state_of(folder) == GitState(head, "main", None, dirty=False)
        (folder / "train.py").write_text("changed")
        before = fingerprint(repository)
        assert state_of(folder) == GitState(head, "main", None, dirty=True)
        assert fingerprint(repository) == before

    def test_remote_without_credentials(self, repository: Path) -> None:
        git(repository, "remote", "add", "other", "https://host.invalid/other")
        git(repository, "remote", "add", "origin", "https://me:canary@host.invalid/x.git")
        state = state_of(repository)
        assert state is not None
        assert state.repository_url == "https://host.invalid/x.git"

    def test_detached(self, repository: Path) -> None:
        git(repository, "checkout", "--quiet", "v1")
        state = state_of(repository)
        assert state is not None
        assert state.branch is None

    def test_parts_that_are_not_tracked(self, repository: Path) -> None:
        (repository / ".gitignore").write_text("ignored\n")
        for name in ("ignored", "untracked"):
            (repository / name).mkdir()
            (repository / name / "train.py").touch()
            assert state_of(repository / name) is None

    def test_no_commit_yet(self, tmp_path: Path) -> None:
        git(tmp_path, "init", "--quiet")
        assert state_of(tmp_path) is None

    def test_what_is_no_repository(self, tmp_path: Path) -> None:
        (tmp_path / ".git").touch()
        assert state_of(tmp_path) is None

    def test_answers(self) -> None:
        status = f"# branch.oid {'a' * 40}\n# branch.head (detached)\n1 .M N... file\n"
        assert parse_state(status, "remote.up.url git@host:x.git\n") == GitState("a" * 40, None, "git@host:x.git", True)


def test_remote_head_of_a_repository(bare: Path) -> None:
    assert resolve_remote(f"file://{bare}", None).branch == "main"


class TestArchives:
    @pytest.fixture
    def archive(self, tmp_path: Path) -> Path:
        path = tmp_path / "project.zip"
        with zipfile.ZipFile(path, "w") as content:
            content.writestr("train.py", "zipped")
            content.writestr("inner/train.py", "deeper")
        return path

    @pytest.fixture
    def server(self, tmp_path: Path) -> Iterator[str]:
        handler = partial(http.server.SimpleHTTPRequestHandler, directory=str(tmp_path))
        with http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler) as running:
            thread = threading.Thread(target=running.serve_forever, daemon=True)
            thread.start()
            yield f"http://127.0.0.1:{running.server_address[1]}"
            running.shutdown()
            thread.join()

    def test_local(self, archive: Path, home: Path) -> None:
        source = resolve_source(archive, home=home)
        assert (train(source), source.name, source.cached) == ("zipped", str(archive), source.directory)
        assert train(resolve_source(f"file://{archive}#inner", home=home)) == "deeper"

    def test_http(self, archive: Path, home: Path, server: str) -> None:
        source = resolve_source(f"{server}/{archive.name}#inner", home=home)
        assert (train(source), source.name) == ("deeper", f"{server}/{archive.name}#inner")

    def test_http_errors(self, home: Path, server: str) -> None:
        with pytest.raises(InvalidProject, match="answers 404"):
            resolve_source(f"{server}/none.zip", home=home)
        with pytest.raises(ProjectUnavailable):
            resolve_source("http://127.0.0.1:1/project.zip", home=home)

    @pytest.mark.parametrize("member", ["../out.py", "a/../../out.py", "/out.py"])
    def test_nothing_lands_outside(self, tmp_path: Path, home: Path, member: str) -> None:
        path = tmp_path / "evil.zip"
        with zipfile.ZipFile(path, "w") as content:
            content.writestr("ok.py", "")
            content.writestr(member, "")
        with pytest.raises(InvalidProject, match="would write outside its folder"):
            resolve_source(path, home=home)
        assert [file for file in home.rglob("*") if not file.is_dir() and file.suffix != ".lock"] == []
        assert not os.path.exists("/out.py")

    def test_not_a_zip(self, tmp_path: Path, home: Path) -> None:
        (tmp_path / "x.zip").write_text("not a zip")
        with pytest.raises(InvalidProject, match="is not a zip file"):
            resolve_source(tmp_path / "x.zip", home=home)

    def test_archives_have_no_versions(self, archive: Path, home: Path) -> None:
        with pytest.raises(InvalidProject, match="not in a git repository"):
            resolve_source(archive, version="v1", home=home)
