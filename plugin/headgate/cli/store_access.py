"""Opening the store that a command was told to use."""

from __future__ import annotations

from typing import TYPE_CHECKING

from headgate.store.errors import InvalidSettings

if TYPE_CHECKING:
    from headgate.store.settings import Settings
    from headgate.store.store import Store


def read_settings() -> Settings:
    """Read the settings from the environment.

    Raises:
        InvalidSettings: a variable has a value that it can't have; the value itself is not repeated.
    """
    from pydantic import ValidationError

    from headgate.store.settings import Settings

    try:
        return Settings()
    except ValidationError as error:
        wrong = error.errors(include_input=False, include_url=False)[0]
        variable = f"HEADGATE_{str(wrong['loc'][0]).upper()}" if wrong["loc"] else "A setting"
        raise InvalidSettings(
            f"{variable} can't be used: {wrong['msg']}.", remedy="docs/settings.md says what each variable may hold."
        ) from None


def open_store(url: str | None, artifact_root: str | None) -> Store:
    """Open the store for a command; raises as :func:`headgate.store.open_store`."""
    from headgate.store.store import open_store as open_it

    return open_it(url, artifact_root=artifact_root, settings=read_settings())
