"""What only a local folder does."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from headgate.store.artifacts import ArtifactStore, FileInfo, artifact_store_for
from headgate.store.artifacts.local import LocalArtifactStore
from headgate.store.errors import ArtifactStoreUnavailable, InvalidInput, InvalidSettings


def test_files_are_read_in_place(local_store: ArtifactStore) -> None:
    local_store.put_bytes(b"x", "a/b")
    place = local_store.local_path("a/b")
    assert place == Path(local_store.uri) / "a" / "b"
    assert place.read_bytes() == b"x"
    assert local_store.presign("a/b") is None


def test_a_file_that_is_being_written_is_not_listed(local_store: ArtifactStore) -> None:
    local_store.put_bytes(b"x", "a/b")
    (Path(local_store.uri) / "a" / ".headgate-part-0123").write_bytes(b"half")
    assert local_store.list("a") == local_store.list("a", recursive=True) == (FileInfo("a/b", False, 1),)


def test_a_failed_write_leaves_what_was_there(local_store: ArtifactStore, tmp_path: Path) -> None:
    local_store.put_bytes(b"old", "file")
    source = tmp_path / "new"
    source.write_bytes(b"new")

    def fail(done: int, total: int) -> None:
        if done == total:
            raise RuntimeError("power cut")

    with pytest.raises(RuntimeError):
        local_store.put_file(source, "file", progress=fail)
    assert os.listdir(local_store.uri) == ["file"]
    with local_store.open("file") as stream:
        assert stream.read() == b"old"


def test_stored_files_have_the_users_usual_permissions(local_store: ArtifactStore, tmp_path: Path) -> None:
    ordinary = tmp_path / "ordinary"
    ordinary.write_bytes(b"")
    local_store.put_bytes(b"x", "file")
    assert (Path(local_store.uri) / "file").stat().st_mode == ordinary.stat().st_mode


def test_a_link_that_leads_out_of_the_root_is_refused(local_store: ArtifactStore, tmp_path: Path) -> None:
    secret = tmp_path / "secret"
    secret.write_bytes(b"secret")
    local_store.put_bytes(b"x", "file")
    (Path(local_store.uri) / "link").symlink_to(secret)
    (Path(local_store.uri) / "folder").symlink_to(tmp_path)
    for attempt in (
        lambda: local_store.open("link"),
        lambda: local_store.get("folder/secret", tmp_path / "target"),
        lambda: local_store.put_bytes(b"y", "folder/secret"),
        lambda: local_store.delete("folder/secret"),
        lambda: local_store.local_path("link"),
        lambda: local_store.list("folder"),
    ):
        with pytest.raises(InvalidInput, match="leads out of that folder"):
            attempt()
    assert secret.read_bytes() == b"secret"
    assert [info.path for info in local_store.list(recursive=True)] == ["file", "link"]


def test_a_root_behind_a_link_works(tmp_path: Path) -> None:
    (tmp_path / "real").mkdir()
    (tmp_path / "link").symlink_to(tmp_path / "real")
    store = LocalArtifactStore(tmp_path / "link")
    store.put_bytes(b"x", "a/b")
    assert (tmp_path / "real" / "a" / "b").read_bytes() == b"x"


def test_a_file_is_no_folder(local_store: ArtifactStore) -> None:
    local_store.put_bytes(b"x", "a/b")
    for path in ("a", "a/b/c"):
        with pytest.raises(InvalidInput, match="a file and a folder at once"):
            local_store.put_bytes(b"y", path)
    assert local_store.list(recursive=True) == (FileInfo("a/b", False, 1),)


def test_a_name_that_the_file_system_refuses(local_store: ArtifactStore) -> None:
    with pytest.raises(InvalidInput, match="too long"):
        local_store.put_bytes(b"x", "n" * 300)


def test_a_folder_that_can_not_be_made(tmp_path: Path) -> None:
    (tmp_path / "file").write_bytes(b"")
    with pytest.raises(InvalidInput, match="a file and a folder at once"):
        artifact_store_for(str(tmp_path / "file")).put_bytes(b"x", "y")
    with pytest.raises((InvalidSettings, ArtifactStoreUnavailable), match="/proc/headgate"):
        artifact_store_for("/proc/headgate").put_bytes(b"x", "y")
