"""Errors at the command line: what is printed, and which exit code it ends with.

===  ==========================================================================================
0    passed
1    a fault of Headgate itself; a traceback tells where
2    bad input: the command line, a file, a name, a setting
3    rejected: a gate said reject or could not be decided, or the promotion was refused
4    held: somebody has to look
5    infrastructure failed: the entry point, an environment, the database, storage
130  interrupted (Ctrl-C); 143 terminated (SIGTERM); 129 hung up (SIGHUP): everything that ran was stopped
141  whoever read the output went away
===  ==========================================================================================
"""

from __future__ import annotations

import json
import sys
from collections.abc import Mapping
from typing import Any

import click

from headgate.cli.documents import error_document
from headgate.cli.style import styled
from headgate.store.errors import HeadgateError, RunKilled

INFRASTRUCTURE = 5
INTERRUPTED = 130
PIPE_CLOSED = 141


def report(error: Exception, *, as_json: bool) -> int:
    """Print an error on stderr, as text or as JSON, and return the exit code.

    Raises:
        Exception: the error itself, when it is none that a user or the machine could have caused.
    """
    if isinstance(error, click.ClickException):
        return _report_usage(error, as_json=as_json)
    if isinstance(error, HeadgateError):
        said = {**error_document(error), "exit_code": _exit_code(error)}
    elif isinstance(error, OSError):
        place = f": {error.filename}" if error.filename else ""
        said = {
            "type": type(error).__name__,
            "message": f"{error.strerror or error}{place}",
            "remedy": "Check that the file or the disk can be used; then try again.",
            "exit_code": INFRASTRUCTURE,
            "attributes": {},
        }
    else:
        raise error
    return _tell(said, as_json=as_json)


def report_interrupt(*, as_json: bool) -> int:
    """Say that Ctrl-C ended the command, and return the exit code."""
    said = {
        "type": "Interrupted",
        "message": "Interrupted.",
        "remedy": "",
        "exit_code": INTERRUPTED,
        "attributes": {},
    }
    return _tell(said, as_json=as_json)


def _exit_code(error: HeadgateError) -> int:
    """Return an error's exit code; for a signal's, the one that the shell gives: 128 and the signal's number."""
    if isinstance(error, RunKilled):
        from headgate.tasks.stopping import Terminated

        if isinstance(error.__cause__, Terminated):
            return 128 + int(error.__cause__.args[0])
    return error.exit_code


def print_error(message: str, remedy: str = "") -> None:
    """Print an error and what to do about it on stderr."""
    click.echo(f"{styled('error:', sys.stderr, fg='red')} {message}", err=True)
    if remedy:
        click.echo(remedy, err=True)


def _report_usage(error: click.ClickException, *, as_json: bool) -> int:
    context = getattr(error, "ctx", None)
    said = {
        "type": "UsageError",
        "message": error.format_message(),
        "remedy": f"See {context.command_path} --help." if context is not None else "",
        "exit_code": error.exit_code,
        "attributes": {},
    }
    return _tell(said, as_json=as_json)


def _tell(said: Mapping[str, Any], *, as_json: bool) -> int:
    if as_json:
        # One line, the last on stderr: what an entry point wrote there stands before it.
        click.echo(json.dumps({"error": said}, ensure_ascii=False), err=True)
    else:
        print_error(said["message"], said["remedy"])
    code: int = said["exit_code"]
    return code
