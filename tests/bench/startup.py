"""Start-up: importing each face, and the command line's help

Each program is a process of its own; a face's cost is what it adds to a bare Python.
"""

from __future__ import annotations

import resource
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

from tests.bench.figures import Figure, alone, in_turns, more_than

FACES = ("headgate.store", "headgate.wire", "headgate.tasks", "headgate.flows", "headgate.cli")


def measure(repeats: int) -> list[Figure]:
    bare, *faces, tracking, sqlmodel = in_turns(
        2 * repeats,
        ("python", python("pass")),
        *((f"import {face}", python(f"import {face}")) for face in FACES),
        ("import tracking", python("from headgate.tasks import tracking")),
        ("import sqlmodel", python("import sqlmodel")),
    )
    (shown,) = in_turns(2 * repeats, ("headgate --help", program(Path(sys.executable).with_name("headgate"), "--help")))
    return [
        *(more_than(face.what, face, bare, at_most=50) for face in faces),
        more_than("from headgate.tasks import tracking", tracking, bare),
        more_than("import sqlmodel, to compare", sqlmodel, bare),
        alone(shown.what, shown, at_most=350),
    ]


def python(code: str) -> Callable[[], None]:
    return program(sys.executable, "-c", code)


def program(*command: object, **options: Any) -> Callable[[], None]:
    words = [str(word) for word in command]

    def run() -> None:
        ran = subprocess.run(words, capture_output=True, text=True, **options)
        if ran.returncode:
            sys.exit(f"{words} ended with {ran.returncode}:\n{ran.stdout}\n{ran.stderr}")

    return run


def processor_seconds(run: Callable[[], None]) -> Callable[[], float]:
    """Measure the processor time of a program and of what it starts: the load of the machine hardly shows in it."""

    def seconds() -> float:
        before = resource.getrusage(resource.RUSAGE_CHILDREN)
        run()
        after = resource.getrusage(resource.RUSAGE_CHILDREN)
        return after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime

    return seconds
