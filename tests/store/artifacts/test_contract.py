"""What every artifact back-end does the same."""

from __future__ import annotations

import hashlib
import threading
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from headgate.store.artifacts import ArtifactStore, FileInfo, StoredFile, folder_digest, tree_digest
from headgate.store.artifacts.digest import stored_digest
from headgate.store.errors import InvalidInput, NotFound
from tests.store.artifacts.conftest import TREE


def sha256(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()


def content_below(folder: Path) -> dict[str, bytes]:
    return {str(file.relative_to(folder)): file.read_bytes() for file in folder.rglob("*") if file.is_file()}


def test_a_file_comes_back_as_it_was(artifacts: ArtifactStore, tmp_path: Path) -> None:
    source = tmp_path / "model.bin"
    source.write_bytes(b"\x00weights\xff")

    stored = artifacts.put_file(source, "models/model.bin")

    assert stored == StoredFile("models/model.bin", 9, sha256(b"\x00weights\xff"))
    target = tmp_path / "new" / "folder" / "copy.bin"
    assert artifacts.get("models/model.bin", target) == target
    assert target.read_bytes() == source.read_bytes()


def test_bytes_come_back_as_a_stream(artifacts: ArtifactStore) -> None:
    assert artifacts.put_bytes(b"one\ntwo\n", "notes.txt") == StoredFile("notes.txt", 8, sha256(b"one\ntwo\n"))
    with artifacts.open("notes.txt") as stream:
        assert stream.readline() == b"one\n"
        assert stream.read() == b"two\n"


def test_a_stream_may_be_closed_before_its_end(artifacts: ArtifactStore) -> None:
    artifacts.put_bytes(bytes(5 << 20), "big.bin")
    with artifacts.open("big.bin") as stream:
        assert stream.read(3) == b"\0\0\0"


def test_digests_of_what_is_stored(artifacts: ArtifactStore, tree: Path) -> None:
    assert stored_digest(artifacts) is None
    artifacts.put_folder(tree)
    name = next(iter(TREE))
    assert artifacts.sha256(name) == sha256((tree / name).read_bytes())
    assert stored_digest(artifacts) == folder_digest(tree)
    with pytest.raises(NotFound):
        artifacts.sha256("nowhere")


def test_an_empty_file_is_a_file(artifacts: ArtifactStore, tmp_path: Path) -> None:
    artifacts.put_bytes(b"", "empty")
    assert artifacts.stat("empty") == FileInfo("empty", is_dir=False, file_size=0)
    assert artifacts.get("empty", tmp_path / "empty").read_bytes() == b""
    with artifacts.open("empty") as stream:
        assert stream.read() == b""


def test_a_folder_comes_back_as_it_was(artifacts: ArtifactStore, tree: Path, tmp_path: Path) -> None:
    stored = artifacts.put_folder(tree, "data/set")

    assert [(file.path, file.size, file.sha256) for file in stored] == sorted(
        (f"data/set/{name}", len(content), sha256(content)) for name, content in TREE.items()
    )
    assert content_below(artifacts.get("data/set", tmp_path / "back")) == TREE
    assert content_below(artifacts.get("", tmp_path / "all")) == {f"data/set/{n}": c for n, c in TREE.items()}


def test_storing_twice_replaces_and_leaves_the_rest(artifacts: ArtifactStore, tree: Path, tmp_path: Path) -> None:
    artifacts.put_bytes(b"stays", "data/other.txt")
    first = artifacts.put_folder(tree, "data")
    (tree / "a.txt").write_bytes(b"changed")

    second = artifacts.put_folder(tree, "data")

    assert [file.path for file in second] == [file.path for file in first]
    expected = TREE | {"a.txt": b"changed", "other.txt": b"stays"}
    assert content_below(artifacts.get("data", tmp_path / "back")) == expected
    artifacts.put_bytes(b"again", "data/a.txt")
    artifacts.put_bytes(b"again", "data/a.txt")
    assert artifacts.get("data/a.txt", tmp_path / "back" / "a.txt").read_bytes() == b"again"


def test_listing_gives_children_or_all_files(artifacts: ArtifactStore, tree: Path) -> None:
    artifacts.put_folder(tree, "data")
    artifacts.put_bytes(b"", "data.txt")

    assert artifacts.list() == (FileInfo("data", True), FileInfo("data.txt", False, 0))
    assert artifacts.list("data") == (
        FileInfo("data/a", True),
        FileInfo("data/a.txt", False, 1),
        FileInfo("data/empty", False, 0),
        FileInfo("data/with space & 100% ümläut.csv", False, 4),
    )
    assert artifacts.list("data/a/") == (FileInfo("data/a/c.json", False, 2), FileInfo("data/a/deep", True))
    every_file = tuple(FileInfo(f"data/{name}", False, len(TREE[name])) for name in sorted(TREE))
    assert artifacts.list("data", recursive=True) == every_file
    assert artifacts.list(recursive=True) == tuple(
        sorted((*every_file, FileInfo("data.txt", False, 0)), key=lambda info: info.path)
    )


def test_what_is_not_there(artifacts: ArtifactStore, tmp_path: Path) -> None:
    artifacts.put_bytes(b"x", "ab/c")
    for path in ("a", "ab/c/d", "ab/cc", "b"):
        assert artifacts.stat(path) is None
        assert artifacts.list(path) == ()
        with pytest.raises(NotFound, match="There is no artifact") as caught:
            artifacts.get(path, tmp_path / "nothing")
        assert caught.value.kind == "artifact"
        with pytest.raises(NotFound, match="There is no artifact"):
            artifacts.open(path)
    assert artifacts.list("ab/c") == ()
    assert not (tmp_path / "nothing").exists()


def test_a_folder_is_no_file_to_open(artifacts: ArtifactStore) -> None:
    artifacts.put_bytes(b"x", "folder/file")
    assert artifacts.stat("folder") == FileInfo("folder", is_dir=True)
    assert artifacts.stat("folder/") == FileInfo("folder", is_dir=True)
    with pytest.raises(NotFound):
        artifacts.open("folder")


def test_deleting_takes_a_file_or_a_folder_and_nothing_beside_it(artifacts: ArtifactStore, tree: Path) -> None:
    artifacts.put_folder(tree, "data")
    artifacts.put_bytes(b"", "data2/file")

    artifacts.delete("data/a.txt")
    assert artifacts.stat("data/a.txt") is None
    assert artifacts.stat("data/a/c.json") is not None
    artifacts.delete("data")
    assert artifacts.list(recursive=True) == (FileInfo("data2/file", False, 0),)
    artifacts.delete("data")
    artifacts.delete("never/was")


def test_deleting_everything_at_once_is_refused(artifacts: ArtifactStore) -> None:
    artifacts.put_bytes(b"x", "file")
    for everything in ("", "/", "."):
        with pytest.raises(InvalidInput):
            artifacts.delete(everything)
    assert artifacts.stat("file") is not None


def test_progress_starts_at_nothing_and_ends_at_the_total(artifacts: ArtifactStore, tree: Path, tmp_path: Path) -> None:
    total = sum(map(len, TREE.values()))
    for transfer in (
        lambda progress: artifacts.put_folder(tree, "data", progress=progress),
        lambda progress: artifacts.get("data", tmp_path / "back", progress=progress),
    ):
        calls: list[tuple[int, int]] = []
        transfer(lambda done, of, calls=calls: calls.append((done, of)))
        assert calls[0] == (0, total)
        assert calls[-1] == (total, total)
        assert {of for _, of in calls} == {total}
    calls = []
    artifacts.put_file(tree / "empty", "empty", progress=lambda done, of: calls.append((done, of)))
    assert calls[-1] == (0, 0)


def test_progress_never_calls_from_two_threads_at_once(artifacts: ArtifactStore, tmp_path: Path) -> None:
    folder = tmp_path / "many"
    folder.mkdir()
    for number in range(12):
        (folder / f"{number}.bin").write_bytes(bytes(1 << 18))
    inside = threading.Lock()
    overlaps = []

    def progress(done: int, total: int) -> None:
        if not inside.acquire(blocking=False):
            overlaps.append((done, total))
            return
        threading.Event().wait(0.001)
        inside.release()

    artifacts.put_folder(folder, progress=progress)
    artifacts.get("", tmp_path / "back", progress=progress)
    assert overlaps == []


def test_an_error_in_progress_reaches_the_caller_and_leaves_nothing(artifacts: ArtifactStore, tmp_path: Path) -> None:
    source = tmp_path / "file.bin"
    source.write_bytes(bytes(2 << 20))
    artifacts.put_file(source, "file.bin")

    def stop(done: int, total: int) -> None:
        if done:
            raise RuntimeError("stop")

    with pytest.raises(RuntimeError, match="stop"):
        artifacts.get("file.bin", tmp_path / "copy.bin", progress=stop)

    assert [path.name for path in tmp_path.iterdir() if path.is_file()] == ["file.bin"]
    assert [info.path for info in artifacts.list()] == ["file.bin"]


@pytest.mark.parametrize(
    "path",
    [
        "..",
        "../secret",
        "a/../../secret",
        "/etc/passwd",
        "//etc/passwd",
        "C:/Windows",
        "c:secret",
        "a\\..\\secret",
        "%2e%2e/secret",
        "a/%2E%2E%2Fsecret",
        "%252e%252e%252fsecret",
        "%2Fetc/passwd",
        "a/%5c..%5csecret",
        "a\x00b",
        "a//b",
        "a/./b",
        "line\nbreak",
        "a/.headgate-part-1",
        "\udcff",
        "x" * 1025,
    ],
)
def test_a_path_that_could_leave_the_root_is_refused(artifacts: ArtifactStore, tmp_path: Path, path: str) -> None:
    source = tmp_path / "file"
    source.write_bytes(b"x")
    for attempt in (
        lambda: artifacts.put_file(source, path),
        lambda: artifacts.put_bytes(b"x", path),
        lambda: artifacts.put_folder(tmp_path, path),
        lambda: artifacts.get(path, tmp_path / "target"),
        lambda: artifacts.list(path),
        lambda: artifacts.open(path),
        lambda: artifacts.stat(path),
        lambda: artifacts.delete(path),
        lambda: artifacts.presign(path),
        lambda: artifacts.presign_upload(path),
        lambda: artifacts.start_multipart(path, 1),
        lambda: artifacts.complete_multipart(path, "upload", {1: "etag"}),
        lambda: artifacts.abort_multipart(path, "upload"),
        lambda: artifacts.local_path(path),
    ):
        with pytest.raises(InvalidInput, match="The artifact path"):
            attempt()
    assert artifacts.list(recursive=True) == ()


def test_names_in_a_folder_are_checked_before_anything_is_stored(artifacts: ArtifactStore, tree: Path) -> None:
    (tree / "z\\bad").write_bytes(b"")
    with pytest.raises(InvalidInput, match="backslash"):
        artifacts.put_folder(tree)
    assert artifacts.list() == ()


def test_a_source_must_be_there(artifacts: ArtifactStore, tmp_path: Path) -> None:
    with pytest.raises(InvalidInput, match="does not exist"):
        artifacts.put_file(tmp_path / "nothing", "x")
    with pytest.raises(InvalidInput, match="is a folder, not a file"):
        artifacts.put_file(tmp_path, "x")
    with pytest.raises(InvalidInput, match="is not a folder"):
        artifacts.put_folder(tmp_path / "nothing")
    assert artifacts.list() == ()


def test_links_in_a_folder_are_followed_and_loops_refused(artifacts: ArtifactStore, tmp_path: Path) -> None:
    outside = tmp_path / "outside"
    outside.mkdir()
    (outside / "data.txt").write_bytes(b"data")
    folder = tmp_path / "folder"
    folder.mkdir()
    (folder / "file").symlink_to(outside / "data.txt")
    (folder / "sub").symlink_to(outside)
    assert [file.path for file in artifacts.put_folder(folder)] == ["file", "sub/data.txt"]

    (outside / "loop").symlink_to(folder)
    with pytest.raises(InvalidInput, match="leads back"):
        artifacts.put_folder(folder)
    (outside / "loop").unlink()
    (folder / "broken").symlink_to(tmp_path / "nothing")
    with pytest.raises(InvalidInput, match="broken link"):
        artifacts.put_folder(folder)


def test_the_uri_leads_back_to_the_same_store(artifacts: ArtifactStore, request: pytest.FixtureRequest) -> None:
    from headgate.store.artifacts import artifact_store_for
    from headgate.store.settings import Settings

    artifacts.put_bytes(b"x", "a/b")
    settings = request.getfixturevalue("s3_settings") if artifacts.uri.startswith("s3:") else Settings()
    assert artifact_store_for(artifacts.uri + "/a", settings).stat("b") == FileInfo("b", False, 1)


def test_threads_share_one_store(artifacts: ArtifactStore) -> None:
    def write(number: int) -> StoredFile:
        return artifacts.put_bytes(str(number).encode(), f"{number % 3}/{number}.txt")

    with ThreadPoolExecutor(8) as pool:
        stored = list(pool.map(write, range(24)))
    assert {file.path for file in stored} == {info.path for info in artifacts.list(recursive=True)}
    for number in range(24):
        with artifacts.open(f"{number % 3}/{number}.txt") as stream:
            assert stream.read() == str(number).encode()


def test_the_digest_of_what_was_stored_is_that_of_the_folder(artifacts: ArtifactStore, tree: Path) -> None:
    stored = artifacts.put_folder(tree)
    assert tree_digest((file.path, file.sha256) for file in stored) == folder_digest(tree)
