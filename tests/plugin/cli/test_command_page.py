"""``docs/cli.md`` says what the commands say."""

from __future__ import annotations

from headgate.cli.documents import COMMAND_DOCUMENTS
from tests.plugin.cli.command_page import PAGE, command_page
from tests.plugin.cli.test_command_line import LEAVES


def test_the_page_is_what_the_commands_say() -> None:
    said = command_page()
    assert PAGE.read_text(encoding="utf-8") == said, "out of date: run `python -m tests.plugin.cli.command_page`"


def test_every_command_says_what_it_prints_as_json() -> None:
    assert set(COMMAND_DOCUMENTS) == set(LEAVES)
