"""A canary is given as a secret in every way there is; then everything that was written is searched for it."""

from __future__ import annotations

import logging
from pathlib import Path

import pytest
from pydantic import SecretStr

from headgate.store.errors import EntryPointFailed
from headgate.store.store import Store
from headgate.tasks.run_project import run_project
from tests.tasks.run_project.conftest import MakeProject, only_run, output_of

CANARY = "tweety-0815-canary"


def places_of(text: str, *folders: Path) -> list[Path]:
    """Return the files below the folders that hold ``text``."""
    files = [path for folder in folders for path in folder.rglob("*") if path.is_file()]
    return [path for path in files if text.encode() in path.read_bytes()]


@pytest.mark.parametrize("code", [0, 3])
def test_no_canary_is_written_anywhere(
    store: Store,
    project: MakeProject,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
    code: int,
) -> None:
    caplog.set_level(logging.DEBUG)
    monkeypatch.setenv("DB_PASSWORD", f"{CANARY}-variable")
    monkeypatch.setenv("BROKER", f"amqp://me:{CANARY}-broker@host/")
    directory = project(
        """
        main:
          parameters: {plain: string, api_key: string, url: uri, quoted: string}
          command: "bash show.sh {plain} --key {api_key} --url={url} '{quoted}'"
        """,
        show__sh=f"""
        for given in "$@"; do echo "got: $given"; done
        echo "also $DB_PASSWORD and $BROKER" >&2
        printf '%s\\n' "$@" | grep -c {CANARY[:6]}-0815 > arrived
        exit {code}
        """,
    )
    given = {
        "plain": SecretStr(f"{CANARY}-typed"),
        "api_key": f"{CANARY}-named",
        "url": f"postgresql://me:{CANARY}-url@host/db",
        "quoted": SecretStr(f"{CANARY} 'quoted' $(id)"),
        "hf_token": f"{CANARY}-extra",
        "aws": "AKIAIOSFODNN7EXAMPLE",
    }
    lines: list[str] = []
    error = None
    try:
        run_project(directory, parameters=given, store=store, on_output=lambda line, _: lines.append(line))
    except EntryPointFailed as caught:
        error = caught
    assert (error is None) == (code == 0)
    run = only_run(store)

    assert (directory / "arrived").read_text() == "5\n"
    assert run.params == {
        "plain": "***",
        "api_key": "***",
        "url": "postgresql://me:***@host/db",
        "quoted": "***",
        "hf_token": "***",
        "aws": "***",
    }
    assert "got: ***" in lines
    assert "got: --url=postgresql://me:***@host/db" in lines
    assert "also *** and amqp://me:***@host/" in lines
    assert sorted(output_of(store, run.info.run_id).splitlines()) == sorted(lines)
    command = run.tags["headgate.project.command"]
    assert command.startswith('bash show.sh "${HEADGATE_SECRET_plain}" --key "${HEADGATE_SECRET_api_key}"')
    for text in (CANARY, "AKIAIOSFODNN7EXAMPLE"):
        assert places_of(text, tmp_path / "store", tmp_path / "home") == []
        assert text not in "\n".join(
            [*lines, repr(run), caplog.text, str(error), repr(getattr(error, "attributes", ""))]
        )


def test_the_command_line_of_the_shell_holds_no_secret(store: Store, project: MakeProject) -> None:
    directory = project(
        'main: {parameters: {token: string}, command: "cat /proc/$$/cmdline | tr -d \\\\\\\\0 | base64 -w0; : {token}"}'
    )
    result = run_project(directory, parameters={"token": SecretStr(CANARY)}, store=store)
    import base64

    shown = base64.b64decode(output_of(store, result.run_id)).decode()
    assert "HEADGATE_SECRET_token" in shown
    assert CANARY not in shown


def test_the_password_of_the_store_is_masked(
    store: Store, project: MakeProject, monkeypatch: pytest.MonkeyPatch
) -> None:
    url = store.url
    monkeypatch.setattr(type(store), "url", property(lambda self: f"postgresql://me:{CANARY}@host/db"))
    directory = project('main: {command: "cat url.txt"}', url__txt=f"postgresql://me:{CANARY}@host/db\n")
    result = run_project(directory, store=store)
    monkeypatch.undo()
    assert store.url == url
    assert output_of(store, result.run_id) == "postgresql://me:***@host/db\n"


def test_secrets_written_into_the_command_itself(store: Store, project: MakeProject) -> None:
    run_project(project(f'main: {{command: "DB_PASSWORD={CANARY} true --api-key {CANARY}"}}'), store=store)
    assert only_run(store).tags["headgate.project.command"] == "DB_PASSWORD=*** true --api-key ***"
