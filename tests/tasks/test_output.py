from __future__ import annotations

import errno
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from headgate.tasks.output import LONGEST_LINE, LineSplitter, OutputFile, Tail


def lines_of(*chunks: bytes) -> list[str]:
    splitter = LineSplitter()
    return [line for chunk in chunks for line in splitter.feed(chunk)] + splitter.close()


@pytest.mark.parametrize(
    ("data", "lines"),
    [
        (b"", []),
        (b"a\nb\n", ["a", "b"]),
        (b"a\n\nb", ["a", "", "b"]),
        (b"a\r\nb\r\n", ["a", "b"]),
        (b" 10%\r 50%\r100%\ndone\n", ["100%", "done"]),
        (b"\xff\xfe caf\xc3\xa9\n", ["\ufffd\ufffd café"]),
        (b"no newline", ["no newline"]),
        (b"\n", [""]),
    ],
)
def test_lines(data: bytes, lines: list[str]) -> None:
    assert lines_of(data) == lines


@given(st.lists(st.binary(max_size=20), max_size=10))
def test_chunks_do_not_matter(chunks: list[bytes]) -> None:
    assert lines_of(*chunks) == lines_of(b"".join(chunks))


def test_endless_lines_come_in_pieces() -> None:
    text = "é" * LONGEST_LINE
    splitter = LineSplitter()
    pieces = splitter.feed(text.encode())
    assert len(pieces) >= 1
    pieces += splitter.feed(b"\n")
    assert "".join(pieces) == text
    assert all(len(piece.encode()) <= LONGEST_LINE for piece in pieces)


def test_endless_progress_bars_take_no_memory() -> None:
    splitter = LineSplitter()
    for _ in range(100):
        assert splitter.feed(b"\r 10%" * 1000) == []
    assert splitter.feed(b"\rdone\n") == ["done"]


@given(st.lists(st.text(st.characters(exclude_characters="\n"), max_size=12)), st.integers(1, 40))
def test_tail_keeps_what_fits(lines: list[str], size: int) -> None:
    tail = Tail(size)
    for line in lines:
        tail.add(line)
    assert len(str(tail)) <= size
    assert "\n".join(lines).endswith(str(tail))
    if lines:
        assert len(tail) >= 1


def test_file_with_room(tmp_path: Path) -> None:
    path = tmp_path / "output.txt"
    with OutputFile(path, 100) as record:
        record.add("one")
        record.add("\udcff two")
    record.close()
    assert path.read_text() == "one\n? two\n"


def test_file_without_room_keeps_both_ends(tmp_path: Path) -> None:
    path = tmp_path / "output.txt"
    with OutputFile(path, 40) as record:
        for number in range(100):
            record.add(f"line {number}")
    written = path.read_text().splitlines()
    assert written[:2] == ["line 0", "line 1"]
    assert written[-2:] == ["line 98", "line 99"]
    assert written[2] == f"… {100 - (len(written) - 1)} lines left out …"


def test_file_with_one_endless_line(tmp_path: Path) -> None:
    path = tmp_path / "output.txt"
    with OutputFile(path, 10) as record:
        record.add("x" * 1000)
    assert path.read_text() == "xxxxx\n"


def test_a_full_disk_ends_the_record_and_nothing_else() -> None:
    with OutputFile(Path("/dev/full"), 100_000) as record:
        for number in range(10_000):
            record.add(f"line {number}")
    assert record.problem is not None
    assert record.problem.errno == errno.ENOSPC
