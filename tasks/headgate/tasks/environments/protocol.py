"""What an environment is to a run: it is prepared, and then it turns a command into a program to start."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from pathlib import Path
from typing import Protocol

from headgate.store.errors import EnvironmentBuildFailed, RunKilled
from headgate.tasks.process import OnOutput, ProcessScope, run_process
from headgate.tasks.stopping import StopRequest


class EnvironmentName(StrEnum):
    """The ways to run an entry point; MLflow's environment managers and docker."""

    LOCAL = "local"
    VIRTUALENV = "virtualenv"
    CONDA = "conda"
    DOCKER = "docker"


@dataclass(frozen=True, slots=True)
class Task:
    """What is to run in an environment.

    Args:
        command: for bash.
        directory: the project's folder.
        variables: what the run adds to the environment of the process.
        run_id: names what outlives a process, such as a container.
        paths: files and folders outside the project that the command reads or writes, absolute.
    """

    command: str
    directory: Path
    variables: Mapping[str, str] = field(repr=False)
    run_id: str
    paths: tuple[Path, ...] = ()


@dataclass(frozen=True, slots=True)
class Launch:
    """A program to start.

    Args:
        variables: its whole environment.
        clean_up: a program that removes what a stopped process may leave behind; empty when there is nothing.
    """

    arguments: tuple[str, ...]
    directory: Path
    variables: Mapping[str, str] = field(repr=False)
    clean_up: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Builder:
    """Runs the programs that build an environment, as part of a run: it has their output, and they stop with it.

    Args:
        redact: masks secrets in each line of output.
    """

    on_output: OnOutput
    stop: StopRequest
    grace: float
    scope: ProcessScope
    redact: Callable[[str], str]

    def say(self, line: str) -> None:
        """Put a line into the run's output."""
        self.on_output(line, "stderr")

    def run(
        self,
        arguments: Sequence[str],
        *,
        directory: Path,
        variables: Mapping[str, str],
        what: str,
        remedy: str,
        reads: Path | None = None,
    ) -> None:
        """Run a program to its end.

        Args:
            what: what is being built, for errors: ``the virtualenv of project 'x'``.
            reads: the file that is its standard input.

        Raises:
            EnvironmentBuildFailed: it ended with a code other than 0; ``output`` holds its last lines.
            RunKilled: the run was asked to stop.
        """
        redirected = () if reads is None else ("/bin/sh", "-c", 'exec "$@" <"$0"', str(reads))
        ended = run_process(
            (*redirected, *arguments),
            directory=directory,
            variables=variables,
            on_output=self.on_output,
            redact=self.redact,
            grace=self.grace,
            scope=self.scope,
            stop=self.stop,
        )
        self.go_on()
        if ended.exit_code != 0:
            raise EnvironmentBuildFailed(
                f"Building {what} failed: {Path(arguments[0]).name} ended with code {ended.exit_code}.\n{ended.tail}\n",
                remedy=remedy,
                output=ended.tail,
            )

    def go_on(self) -> None:
        """Raise :class:`RunKilled` when the run was asked to stop."""
        if self.stop.reason is not None:
            raise RunKilled(
                f"The run was stopped while its environment was built: {self.stop.reason}.", reason=self.stop.reason
            )


class Environment(Protocol):
    """One way to run entry points, for one project. Making one checks what can be checked without building."""

    @property
    def name(self) -> EnvironmentName: ...

    @property
    def summary(self) -> Mapping[str, str]:
        """What a run records of the environment: its Python, the digest of its specification, its image."""

    def prepare(self, builder: Builder) -> Mapping[str, str]:
        """Build the environment unless it is there, and return tags for the run that are known only now.

        Raises:
            EnvironmentBuildFailed: a retry may help.
            RunKilled: the run was asked to stop meanwhile.
        """

    def launch(self, task: Task) -> Launch:
        """Return the program that runs ``task``; only after :meth:`prepare`."""


def first_on_path(folder: Path | str, variables: Mapping[str, str]) -> str:
    """Return a PATH that begins with ``folder``."""
    others = [part for part in variables.get("PATH", os.defpath).split(os.pathsep) if part and part != str(folder)]
    return os.pathsep.join([str(folder), *others])
