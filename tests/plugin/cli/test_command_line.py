"""The root of the command line: help, errors, exit codes, what stands on stdout and what on stderr."""

from __future__ import annotations

import json
import logging
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import click
import pytest
from click.testing import CliRunner

from headgate.cli import main
from headgate.cli.failures import report
from headgate.cli.lazy_group import LazyGroup
from headgate.store.errors import (
    GateHeld,
    GateRejected,
    HeadgateError,
    InvalidPipeline,
    PromotionRefused,
    StoreUnavailable,
)
from headgate.store.store import Store
from tests.plugin.cli.conftest import CommandLine

HEADGATE = str(Path(sys.executable).with_name("headgate"))
HEAVY = {
    *("alembic", "boto3", "mlflow", "numpy", "pandas", "pydantic", "requests", "rich", "sklearn"),
    *("sqlalchemy", "sqlmodel", "yaml"),
}


def commands(group: click.Group = main, *path: str) -> Iterator[tuple[tuple[str, ...], click.Command]]:
    """Every command and group with its path."""
    context = click.Context(group)
    for name in group.list_commands(context):
        command = group.get_command(context, name)
        assert command is not None
        yield (*path, name), command
        if isinstance(command, click.Group):
            yield from commands(command, *path, name)


COMMANDS = dict(commands())
LEAVES = {path: command for path, command in COMMANDS.items() if not isinstance(command, click.Group)}


@pytest.mark.parametrize("path", COMMANDS, ids=" ".join)
def test_every_command_has_help(path: tuple[str, ...]) -> None:
    shown = CliRunner().invoke(main, [*path, "--help"])
    assert shown.exit_code == 0
    assert shown.stdout.startswith(f"Usage: main {' '.join(path)}")
    assert COMMANDS[path].help
    for parameter in COMMANDS[path].params:
        assert not isinstance(parameter, click.Option) or parameter.help, parameter


@pytest.mark.parametrize("path", LEAVES, ids=" ".join)
def test_every_command_takes_json(path: tuple[str, ...]) -> None:
    options = {option for parameter in LEAVES[path].params for option in parameter.opts}
    assert "--json" in options
    assert {"--store", "--artifact-root"} <= options or path in [("plan",), ("prefect", "deploy")]


def test_the_summaries_of_the_root_are_those_of_the_commands() -> None:
    assert isinstance(main, LazyGroup)
    for name, (_, summary) in main.lazy.items():
        help_text = COMMANDS[name,].help or ""
        assert help_text.split("\n\n")[0].replace("\n", " ").strip() == summary, name


@pytest.mark.parametrize("path", [(), *COMMANDS], ids=" ".join)
def test_help_imports_no_heavy_library(path: tuple[str, ...]) -> None:
    code = (
        "import json, sys\nfrom headgate.cli import main\n"
        f"try:\n    main({[*path, '--help']!r})\nexcept SystemExit as end:\n    assert not end.code\n"
        "print('\\n' + json.dumps(sorted({name.partition('.')[0] for name in sys.modules})))"
    )
    ran = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert set(json.loads(ran.stdout.splitlines()[-1])) & HEAVY == set()


def test_python_m_is_the_same_command() -> None:
    ran = subprocess.run(
        [sys.executable, "-m", "headgate.cli", "--version"], capture_output=True, text=True, check=True
    )
    assert ran.stdout.startswith("headgate ")
    script = subprocess.run([HEADGATE, "--version"], capture_output=True, text=True, check=True)
    assert script.stdout == ran.stdout


@pytest.mark.parametrize(
    ("words", "hint"),
    [
        (["rnu"], "Did you mean 'run'?"),
        (["runs", "lst"], "Did you mean 'list'?"),
        (["models", "promot"], "Did you mean 'promote'?"),
        (["zzz"], "There are run, plan,"),
    ],
)
def test_a_mistyped_command_is_answered_with_the_closest(words: list[str], hint: str) -> None:
    ran = CliRunner().invoke(main, words)
    assert ran.exit_code == 2
    assert ran.stdout == ""
    assert f"error: No such command {words[-1]!r}. {hint}" in ran.stderr
    assert "Traceback" not in ran.stderr


def test_an_unknown_option_ends_with_2(headgate: CommandLine) -> None:
    ran = headgate("experiments", "list", "--nonsense")
    assert (ran.exit_code, ran.stdout) == (2, "")
    assert ran.stderr.startswith("error: ")
    error = headgate.error("experiments", "list", "--nonsense")
    assert error["type"] == "UsageError"
    assert error["exit_code"] == 2


def test_an_error_says_what_and_what_to_do(headgate: CommandLine) -> None:
    ran = headgate("models", "history", "nobody")
    assert (ran.exit_code, ran.stdout) == (2, "")
    first, second = ran.stderr.splitlines()
    assert first.startswith("error: ")
    assert "nobody" in first
    assert second


def test_an_error_is_json_where_json_is_asked_for(headgate: CommandLine) -> None:
    error = headgate.error("gate", "explain", "v-nothing")
    assert error == {
        "type": "NotFound",
        "message": "There is no verdict 'v-nothing'.",
        "remedy": "Give the id that headgate gate decide printed.",
        "exit_code": 2,
        "attributes": {"kind": "verdict", "key": "v-nothing"},
    }


@pytest.mark.parametrize(
    ("error", "code"),
    [
        (InvalidPipeline("wrong", file="pipeline.yaml", line=3), 2),
        (GateRejected("no"), 3),
        (PromotionRefused("no"), 3),
        (GateHeld("wait"), 4),
        (StoreUnavailable("down"), 5),
        (HeadgateError("anything"), 5),
        (PermissionError(13, "Permission denied", "/x"), 5),
        (click.UsageError("bad"), 2),
    ],
)
@pytest.mark.parametrize("as_json", [True, False])
def test_exit_codes(error: Exception, code: int, as_json: bool, capsys: pytest.CaptureFixture[str]) -> None:
    assert report(error, as_json=as_json) == code
    printed = capsys.readouterr()
    assert printed.out == ""
    if as_json:
        assert json.loads(printed.err)["error"]["exit_code"] == code
    else:
        assert printed.err.startswith("error: ")


def test_a_fault_of_our_own_is_not_dressed_up() -> None:
    with pytest.raises(ZeroDivisionError):
        report(ZeroDivisionError("oops"), as_json=False)


def test_what_an_error_carries_is_plain_json(capsys: pytest.CaptureFixture[str]) -> None:
    report(
        InvalidPipeline("wrong", line=3, value=float("nan"), path=Path("/x"), several=(1, {"a": None})), as_json=True
    )
    attributes = json.loads(capsys.readouterr().err)["error"]["attributes"]
    assert attributes == {"line": 3, "value": "NaN", "path": "/x", "several": [1, {"a": None}]}


CANARY = "CANARY-hunter2"


@pytest.mark.parametrize("as_json", [True, False])
@pytest.mark.parametrize(
    "url",
    [
        f"postgresql://me:{CANARY}@127.0.0.1:1/headgate",
        f"mysql://me:{CANARY}@127.0.0.1:1/headgate",
        f"oracle://me:{CANARY}@127.0.0.1:1/headgate",
        f"postgresql+nodriver://me:{CANARY}@127.0.0.1:1/headgate",
        f"://me:{CANARY}@127.0.0.1",
        f"postgresql://127.0.0.1:1/headgate?user=me&password={CANARY}",
    ],
)
@pytest.mark.parametrize("words", [("db", "status"), ("db", "upgrade"), ("runs", "list"), ("experiments", "list")])
def test_a_password_in_the_store_url_is_never_printed(words: tuple[str, ...], url: str, as_json: bool) -> None:
    arguments = [*words, "--store", url, "--artifact-root", "/nowhere", *(["--json"] if as_json else [])]
    ran = CliRunner().invoke(main, arguments)
    assert ran.exit_code in (2, 5)
    assert CANARY not in ran.output + ran.stderr
    by_variable = CliRunner().invoke(main, list(words), env={"HEADGATE_STORE_URL": url})
    assert by_variable.exit_code in (2, 5)
    assert CANARY not in by_variable.output + by_variable.stderr


def test_a_bad_setting_names_the_variable_and_not_its_value(headgate: CommandLine) -> None:
    ran = headgate("experiments", "list", env={"HEADGATE_BUSY_TIMEOUT": CANARY})
    assert ran.exit_code == 2
    assert "HEADGATE_BUSY_TIMEOUT can't be used" in ran.stderr
    assert CANARY not in ran.stderr


def test_the_log_level_is_that_of_the_settings(headgate: CommandLine, monkeypatch: pytest.MonkeyPatch) -> None:
    logger = logging.getLogger("headgate")
    monkeypatch.setattr(logger, "level", logging.NOTSET)  # put back at the end
    assert headgate("experiments", "list", env={"HEADGATE_LOG_LEVEL": "error"}).exit_code == 0
    assert logger.level == logging.ERROR
    ran = headgate("experiments", "list", env={"HEADGATE_LOG_LEVEL": "loud"})
    assert ran.exit_code == 2
    assert "HEADGATE_LOG_LEVEL can't be used" in ran.stderr


@pytest.mark.parametrize("words", [["experiments", "list"], ["experiments", "list", "--json"], ["--help"]])
def test_a_closed_pipe_ends_quietly(headgate: CommandLine, store: Store, words: list[str]) -> None:
    for number in range(200):
        store.experiments.create(f"experiment-{number}")
    environment = {**os.environ, "HEADGATE_STORE_URL": headgate.url}
    reading, writing = os.pipe()
    os.close(reading)
    try:
        ran = subprocess.run([HEADGATE, *words], stdout=writing, stderr=subprocess.PIPE, text=True, env=environment)
    finally:
        os.close(writing)
    assert ran.stderr == ""
    assert ran.returncode in (1, 141)


def test_no_color_is_respected_and_pipes_get_no_colour(headgate: CommandLine) -> None:
    assert "\x1b" not in headgate("models", "history", "nobody").stderr
    shown = CliRunner().invoke(
        main, ["experiments", "list", "--store", headgate.url], color=True, env={"NO_COLOR": "1"}
    )
    assert "\x1b" not in shown.output
