"""``models:/`` URIs, in every form that MLflow takes."""

from __future__ import annotations

from dataclasses import dataclass
from urllib.parse import urlsplit

from headgate.store.errors import InvalidInput

_LONGEST_VERSION = 19  # digits that 64 bits hold


@dataclass(frozen=True, slots=True)
class ModelUri:
    """What a ``models:/`` URI names: a LoggedModel by id, or a version of a registered model.

    With a name, at most one of ``version``, ``stage`` and ``alias`` is set; none of them means the latest version.
    """

    model_id: str | None = None
    name: str | None = None
    version: int | None = None
    stage: str | None = None
    alias: str | None = None


def parse_model_uri(uri: str) -> ModelUri:
    """Read ``models:/<model_id>``, ``models:/<name>/<version>``, ``…/<stage>``, ``…/latest`` or ``…@<alias>``.

    A single part without ``@`` is always a model id; the last ``@`` of it starts the alias.

    Raises:
        InvalidInput: none of these forms.
    """
    try:
        parsed = urlsplit(uri, allow_fragments=False)
    except ValueError as error:
        raise _improper(uri) from error
    if parsed.scheme != "models" or not parsed.path.startswith("/"):
        raise _improper(uri)
    parts = parsed.path.lstrip("/").split("/")
    if len(parts) > 2 or not all(part.strip() for part in parts):
        raise _improper(uri)
    if len(parts) == 2:
        return _of_suffix(*parts)
    name, at, alias = parts[0].rpartition("@")
    if not at:
        return ModelUri(model_id=parts[0])
    if not alias.strip() or not name.strip():
        raise _improper(uri)
    return ModelUri(name=name, alias=alias)


def _of_suffix(name: str, suffix: str) -> ModelUri:
    if suffix.isascii() and suffix.isdecimal() and len(suffix) <= _LONGEST_VERSION:
        return ModelUri(name=name, version=int(suffix))
    if suffix.lower() == "latest":
        return ModelUri(name=name)
    return ModelUri(name=name, stage=suffix)


def _improper(uri: str) -> InvalidInput:
    return InvalidInput(
        f"Not a proper models:/ URI: {uri}.",
        remedy="Write models:/<model_id>, models:/<name>/<version>, models:/<name>/<stage>, models:/<name>/latest or "
        "models:/<name>@<alias>.",
        kind="model URI",
        key=uri,
    )
