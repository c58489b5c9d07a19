"""Making the code that travels with a model importable, without mixing up two models."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path

from headgate.store.errors import InvalidModel
from headgate.tasks.model_format.mlmodel import MLMODEL_FILE


def make_importable(folder: Path, code: str | None) -> None:
    """Put a model's code folder at the front of the import path.

    Python imports one module of a name. So when a module of the same name but another content was imported, or stands
    in the code of a model that is already loaded, this model would run with the other's code: that is refused.

    Args:
        folder: the model's folder.
        code: its code folder's name; None when it brings none.

    Raises:
        InvalidModel: such a module is there.
    """
    if code is None:
        return
    place = folder / code
    for name, file in _modules_in(place):
        for other in _others(name, file.relative_to(place)):
            if other.resolve() != file.resolve() and other.read_bytes() != file.read_bytes():
                raise InvalidModel(
                    f"The model in {str(folder)!r} brings its own module {name!r}, "
                    f"but this process has another one from {str(other)!r}.",
                    remedy="Load the two in processes of their own, or give the modules different names.",
                    module=name,
                )
    if str(place) not in sys.path:
        sys.path.insert(0, str(place))


def _modules_in(place: Path) -> Iterator[tuple[str, Path]]:
    for file in sorted(place.rglob("*.py")):
        parts = file.relative_to(place).with_suffix("").parts
        yield ".".join(parts[:-1] if parts[-1] == "__init__" else parts), file


def _others(name: str, path: Path) -> Iterator[Path]:
    imported = getattr(sys.modules.get(name), "__file__", None)
    if imported is not None and Path(imported).exists():
        yield Path(imported)
    for entry in sys.path:
        if Path(entry).parent.joinpath(MLMODEL_FILE).exists() and Path(entry, path).exists():
            yield Path(entry, path)
