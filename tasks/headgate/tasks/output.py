"""What a process prints: cut into lines, its last part kept for errors, and a bounded record of it in a file."""

from __future__ import annotations

from collections import deque
from pathlib import Path
from types import TracebackType

LONGEST_LINE = 1 << 16


class LineSplitter:
    """Cuts a stream of bytes into lines of text.

    Bytes that are not UTF-8 become U+FFFD. Of a line that rewrites itself with carriage returns, as progress bars do,
    the last state counts, as on a terminal. A line longer than 65,536 bytes comes in pieces, so that a stream without
    newlines takes no memory.
    """

    def __init__(self) -> None:
        self._rest = b""

    def feed(self, data: bytes) -> list[str]:
        """Return the lines that ``data`` completes."""
        *complete, self._rest = (self._rest + data).split(b"\n")
        lines = [text for line in complete for text in self._texts(line)]
        if len(self._rest) > LONGEST_LINE:
            self._rest = _last_state(self._rest)
        while len(self._rest) > LONGEST_LINE:
            cut = _character_boundary(self._rest, LONGEST_LINE)
            lines.append(self._rest[:cut].decode("utf-8", "replace"))
            self._rest = self._rest[cut:]
        return lines

    def close(self) -> list[str]:
        """Return what came after the last newline, if anything."""
        rest, self._rest = self._rest, b""
        return list(self._texts(rest)) if rest else []

    def _texts(self, line: bytes) -> list[str]:
        line = _last_state(line)
        texts = []
        while len(line) > LONGEST_LINE:
            cut = _character_boundary(line, LONGEST_LINE)
            texts.append(line[:cut].decode("utf-8", "replace"))
            line = line[cut:]
        return [*texts, line.decode("utf-8", "replace")]


def _last_state(line: bytes) -> bytes:
    return line.rstrip(b"\r").rpartition(b"\r")[2]


def _character_boundary(data: bytes, at: int) -> int:
    """Return the last place up to ``at`` that does not cut a UTF-8 character in two."""
    for back in range(4):
        if data[at - back] & 0xC0 != 0x80:
            return at - back
    return at


class Tail:
    """The last lines, as many as fit."""

    def __init__(self, size: int) -> None:
        self._size = size
        self._held = 0
        self._lines: deque[str] = deque()

    def add(self, line: str) -> None:
        self._lines.append(line[-self._size :])
        self._held += len(self._lines[-1]) + 1
        while self._held > self._size + 1:
            self._held -= len(self._lines.popleft()) + 1

    def __len__(self) -> int:
        return len(self._lines)

    def __str__(self) -> str:
        return "\n".join(self._lines)


class OutputFile:
    """A record of output in a file: its beginning, and, when it is too long, its end after a line that says so.

    A full disk ends the record, not the process whose output it is: ``problem`` says so.

    Args:
        path: the file; written as UTF-8.
        limit: how many characters are kept at most, half of them from the end.
    """

    def __init__(self, path: Path, limit: int) -> None:
        self.path = path
        self.problem: OSError | None = None
        self._room = limit // 2
        self._tail = Tail(limit - self._room)
        self._left_out = 0
        self._full = False
        self._file = path.open("w", encoding="utf-8", errors="replace")

    def __enter__(self) -> OutputFile:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def add(self, line: str) -> None:
        """Record one line, without its newline."""
        size = len(line) + 1
        self._full = self._full or size > self._room
        if self._full:
            self._left_out += 1
            self._tail.add(line)
        else:
            self._room -= size
            self._write(f"{line}\n")

    def close(self) -> None:
        """Write what is kept of the end. Closing twice is the same as once."""
        if self._file.closed:
            return
        if self._full:
            left_out = self._left_out - len(self._tail)
            self._write(f"… {left_out} lines left out …\n" if left_out else "")
            self._write(f"{self._tail}\n")
        try:
            self._file.close()
        except OSError as error:
            self.problem = self.problem or error

    def _write(self, text: str) -> None:
        try:
            self._file.write(text)
        except OSError as error:
            self.problem = self.problem or error
