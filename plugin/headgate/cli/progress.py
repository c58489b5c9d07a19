"""What is seen while something runs: its output, and which steps are under way.

Output of an entry point goes where the entry point sent it: stdout to stdout, stderr to stderr; with ``--json`` all of
it to stderr. On a terminal the steps under way are shown below it, with the time they have taken.
"""

from __future__ import annotations

import os
import sys
from types import TracebackType
from typing import TYPE_CHECKING

import click

from headgate.cli.output import print_note, printable
from headgate.cli.style import colourful, is_terminal

if TYPE_CHECKING:
    from rich.progress import Progress as RichProgress


class PlainProgress:
    """Lines only: for files, pipes and logs."""

    def __init__(self, *, only_stderr: bool = False) -> None:
        self._only_stderr = only_stderr
        self._deaf = False

    def __enter__(self) -> PlainProgress:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        return None

    def note(self, text: str) -> None:
        """Say something about the whole."""
        print_note(text)

    def began(self, what: str, how: str = "started") -> None:
        """Say that something is under way."""
        self.note(f"{what}: {how}")

    def ended(self, what: str, how: str) -> None:
        """Say how something that was under way ended."""
        self.note(f"{what}: {how}")

    def line(self, line: str, stream: str, prefix: str = "") -> None:
        """Pass on a line that an entry point printed. When nobody reads stdout any more, the run goes on unheard."""
        text = f"[{prefix}] {line}" if prefix else line
        if stream == "stderr" or self._only_stderr:
            click.echo(text, err=True)
        elif not self._deaf:
            try:
                click.echo(text)
            except BrokenPipeError:
                self._deaf = True
                stop_writing_stdout()


class LiveProgress(PlainProgress):
    """On a terminal: what is under way, with a clock, below the lines."""

    def __init__(self, *, only_stderr: bool = False) -> None:
        from rich.console import Console
        from rich.progress import Progress, SpinnerColumn, TextColumn, TimeElapsedColumn

        super().__init__(only_stderr=only_stderr)
        self._console = Console(stderr=True, no_color=not colourful(sys.stderr), highlight=False)
        columns = (SpinnerColumn(), TextColumn("{task.description}", markup=False), TimeElapsedColumn())
        self._rich: RichProgress = Progress(
            *columns, console=self._console, transient=True, redirect_stdout=False, redirect_stderr=False
        )
        self._tasks: dict[str, int] = {}
        self._one_screen = is_terminal(sys.stdout)

    def __enter__(self) -> LiveProgress:
        self._rich.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._rich.stop()

    def note(self, text: str) -> None:
        self._print(printable(text))

    def began(self, what: str, how: str = "started") -> None:
        super().began(what, how)
        self._tasks[what] = self._rich.add_task(what, total=None)

    def ended(self, what: str, how: str) -> None:
        task = self._tasks.pop(what, None)
        if task is not None:
            self._rich.remove_task(task)  # type: ignore[arg-type]  # rich's TaskID is an int
        super().ended(what, how)

    def line(self, line: str, stream: str, prefix: str = "") -> None:
        if stream == "stdout" and not self._only_stderr and not self._one_screen:
            super().line(line, stream, prefix)
        else:
            self._print(f"[{prefix}] {line}" if prefix else line)

    def _print(self, text: str) -> None:
        from rich.text import Text

        self._console.print(Text.from_ansi(text), soft_wrap=True)


def make_progress(*, as_json: bool) -> PlainProgress:
    """Return the progress that fits where the output goes."""
    return LiveProgress(only_stderr=as_json) if is_terminal(sys.stderr) else PlainProgress(only_stderr=as_json)


def stop_writing_stdout() -> None:
    """Nobody reads stdout any more: what is written to it from here on, and what is still buffered, goes nowhere."""
    devnull = os.open(os.devnull, os.O_WRONLY)
    os.dup2(devnull, sys.stdout.fileno())
    os.close(devnull)
