from __future__ import annotations

import threading
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from headgate.tasks.build_once import build_once, is_complete


def test_built_once_by_many(tmp_path: Path) -> None:
    built: list[Path] = []

    def build(folder: Path) -> None:
        built.append(folder)
        folder.mkdir()
        (folder / "content").touch()

    with ThreadPoolExecutor(8) as pool:
        folders = list(pool.map(lambda _: build_once(tmp_path / "deep" / "x", build), range(16)))
    assert folders == [tmp_path / "deep" / "x"] * 16
    assert built == [tmp_path / "deep" / "x"]


def test_a_failed_build_is_repeated(tmp_path: Path) -> None:
    folder = tmp_path / "x"

    def fail(target: Path) -> None:
        target.mkdir()
        (target / "half").touch()
        raise LookupError

    with pytest.raises(LookupError):
        build_once(folder, fail)
    assert not is_complete(folder)
    build_once(folder, Path.mkdir)
    assert is_complete(folder)
    assert not (folder / "half").exists()


def test_something_else_in_its_place(tmp_path: Path) -> None:
    (tmp_path / "x").write_text("a file")
    (tmp_path / "target").mkdir()
    (tmp_path / "y").symlink_to(tmp_path / "target")
    for name in "xy":
        build_once(tmp_path / name, Path.mkdir)
    assert is_complete(tmp_path / "x")
    assert (tmp_path / "target").is_dir()
    assert not is_complete(tmp_path / "target")


def test_unusable_folders_are_built_anew(tmp_path: Path) -> None:
    folder = build_once(tmp_path / "x", Path.mkdir)
    (folder / "broken").touch()
    build_once(folder, Path.mkdir, usable=lambda found: not (found / "broken").exists())
    assert not (folder / "broken").exists()


def test_waiting_can_be_given_up(tmp_path: Path) -> None:
    started, go_on = threading.Event(), threading.Event()

    def slow(folder: Path) -> None:
        started.set()
        go_on.wait(120)
        folder.mkdir()

    def give_up() -> None:
        raise LookupError

    with ThreadPoolExecutor(1) as pool:
        building = pool.submit(build_once, tmp_path / "x", slow)
        assert started.wait(120)
        with pytest.raises(LookupError):
            build_once(tmp_path / "x", Path.mkdir, waiting=give_up)
        go_on.set()
        assert is_complete(building.result())
