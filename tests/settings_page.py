"""Writes ``docs/settings.md`` from the descriptions of the settings: ``python -m tests.settings_page``."""

from __future__ import annotations

from pathlib import Path

from pydantic.fields import FieldInfo

from headgate.store.settings import Settings

PAGE = Path(__file__).parents[1] / "docs" / "settings.md"

_HEAD = """\
# Settings

Every setting is an environment variable. Arguments and command-line options that say the same thing win over it.

| variable | default | what it says |
|---|---|---|
"""


def settings_page() -> str:
    """Return the page, with one row for every field of :class:`headgate.store.settings.Settings`."""
    prefix = Settings.model_config["env_prefix"]
    rows = (
        f"| `{prefix}{name.upper()}` | {_default(field)} | {_cell(field.description or '')} |"
        for name, field in Settings.model_fields.items()
    )
    return _HEAD + "\n".join(rows) + "\n"


def _default(field: FieldInfo) -> str:
    if field.default_factory is not None:
        return f"`{field.default_factory()}`".replace(str(Path.home()), "~")  # type: ignore[call-arg]
    if isinstance(field.default, bool):
        return f"`{str(field.default).lower()}`"
    return "" if field.default is None else f"`{field.default}`"


def _cell(text: str) -> str:
    return text.replace("|", "\\|").replace("\n", " ")


if __name__ == "__main__":
    PAGE.write_text(settings_page(), encoding="utf-8")
