"""A model's own code: the modules that no package index has, shipped beside it."""

from __future__ import annotations

import importlib.util
import shutil
import sys
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

from headgate.store.errors import InvalidModel
from headgate.tasks.model_format.distributions import is_installed, is_standard
from headgate.tasks.model_format.imports import imported_by_file


@dataclass(frozen=True, slots=True)
class Code:
    """What goes into a model's ``code`` folder, and the modules of installed packages that all of it imports.

    ``places`` maps a path inside the folder to the file or folder that is copied there.
    """

    places: dict[str, Path]
    modules: frozenset[str]


def gather_code(modules: Iterable[str], code_paths: Sequence[str | Path] = ()) -> Code:
    """Find the code that a model needs and that is not installed from a package index.

    Args:
        modules: full names of the modules that the model imports.
        code_paths: files and folders that the user wants shipped, each at the top of the ``code`` folder. Modules that
            are imported from elsewhere and belong to no installed package are added by themselves, and so is what
            they import.

    Raises:
        InvalidModel: a path doesn't exist, or a module was not imported from a file.
    """
    used = frozenset(modules)
    places = {place.name: place for place in map(_existing, code_paths)}
    needed = set(used)
    for place in list(places.values()):
        needed |= _imports_of(place)
    installed: set[str] = set()
    seen: set[str] = set()
    while needed - seen:
        name = sorted(needed - seen)[0]
        seen.add(name)
        if is_standard(name):
            continue
        if is_installed(name):
            installed.add(name)
            continue
        found = _own_module(name, must_exist=name in used)
        if found is not None and not _covered(found[0], places):
            places[found[0]] = found[1]
            needed |= _imports_of(found[1])
    return Code(places, frozenset(installed))


def copy_code(code: Code, folder: Path) -> None:
    """Copy everything to below ``folder``, without bytecode."""
    for name, source in code.places.items():
        target = folder / name
        target.parent.mkdir(parents=True, exist_ok=True)
        if source.is_dir():
            shutil.copytree(source, target, ignore=shutil.ignore_patterns("__pycache__", "*.pyc"))
        else:
            shutil.copyfile(source, target)


def _existing(path: str | Path) -> Path:
    place = Path(path).absolute()
    if not place.exists():
        raise InvalidModel(f"The code path {str(path)!r} does not exist.", remedy="Give an existing file or folder.")
    return place


def _own_module(name: str, *, must_exist: bool) -> tuple[str, Path] | None:
    """Return where the outermost regular package or module of ``name`` goes, and where it stands now."""
    parts = name.split(".")
    for length in range(1, len(parts) + 1):
        file = _file_of(".".join(parts[:length]))
        if file is None:
            continue
        if file.name == "__init__.py":
            return "/".join(parts[:length]), file.parent
        return "/".join([*parts[: length - 1], file.name]), file
    if must_exist:
        raise InvalidModel(
            f"The model uses the module {name!r}, which was not imported from a file.",
            remedy="Put it into a file, and name that in code_paths if it is not imported by this process.",
            module=name,
        )
    return None  # an optional import that isn't there


def _file_of(name: str) -> Path | None:
    module = sys.modules.get(name)
    file = getattr(module, "__file__", None) if module is not None else _origin(name)
    return Path(file) if file is not None and Path(file).exists() else None


def _origin(name: str) -> str | None:
    try:
        spec = importlib.util.find_spec(name)
    except (ImportError, ValueError):
        return None
    return spec.origin if spec is not None and spec.has_location else None


def _covered(name: str, places: dict[str, Path]) -> bool:
    return any(name == place or name.startswith(f"{place}/") for place in places)


def _imports_of(place: Path) -> set[str]:
    files = sorted(place.rglob("*.py")) if place.is_dir() else [place] if place.suffix == ".py" else []
    return set().union(*map(imported_by_file, files))
