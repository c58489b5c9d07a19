"""Writes ``docs/cli.md`` from the commands' own help: ``python -m tests.plugin.cli.command_page``."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import click

from headgate.cli import main
from headgate.cli.documents import COMMAND_DOCUMENTS, DOCUMENTED

PAGE = Path(__file__).parents[3] / "docs" / "cli.md"

_HEAD = """\
# The command line

`headgate` and `python -m headgate.cli` are the same. This page is the commands' own help.

## Output

Results go to stdout. Messages, progress and errors go to stderr. With `--json`, stdout holds exactly one JSON document
and nothing else; an error is one line of JSON, `{"error": …}`, the last on stderr. Tables and live progress appear on a
terminal; elsewhere the output is plain text, one row per line. `NO_COLOR` is respected. Times are epoch milliseconds in
JSON and UTC in text.

An entry point's stdout goes to stdout and its stderr to stderr; with `--json` both go to stderr. Lines of a pipeline's
steps begin with the name of the step.

## Exit codes

| code | meaning |
|---|---|
| 0 | passed |
| 1 | a fault of Headgate itself, with a traceback |
| 2 | bad input: the command line, a file, a name, a setting, an outdated database |
| 3 | rejected: a gate said reject or could not be decided, or the promotion was refused |
| 4 | held: somebody has to look |
| 5 | infrastructure failed: the entry point, an environment, the database, storage. A retry may help |
| 130 | interrupted (Ctrl-C); what ran was stopped and recorded as KILLED. So are 143 (SIGTERM) and 129 (SIGHUP) |
| 141 | whoever read the output went away |

## Commands
"""

_DOCUMENTS = """\
## JSON documents

Keys are only ever added.
"""


def command_page() -> str:
    """Return the page: every command with its help and what it prints with ``--json``, then every JSON document."""
    sections = [_HEAD, *_command_sections(main, ()), _DOCUMENTS, *_document_sections()]
    return "\n".join(sections)


def _command_sections(group: click.Group, path: tuple[str, ...]) -> Iterator[str]:
    context = click.Context(group)
    for name in group.list_commands(context):
        command = group.get_command(context, name)
        assert command is not None
        here = (*path, name)
        if isinstance(command, click.Group):
            yield from _command_sections(command, here)
        else:
            yield _command_section(command, here)


def _command_section(command: click.Command, path: tuple[str, ...]) -> str:
    name = f"headgate {' '.join(path)}"
    context = click.Context(command, info_name=name, max_content_width=100, terminal_width=100)
    context.help_option_names = ["-h", "--help"]
    shown = command.get_help(context)
    return f"### `{name}`\n\n```text\n{shown}\n```\n\n`--json` prints {COMMAND_DOCUMENTS[path]}.\n"


def _document_sections() -> Iterator[str]:
    for name, keys in DOCUMENTED.items():
        rows = "\n".join(f"| `{key}` | {meaning} |" for key, meaning in keys.items())
        yield f"### {name}\n\n| key | meaning |\n|---|---|\n{rows}\n"


if __name__ == "__main__":
    PAGE.write_text(command_page(), encoding="utf-8")
