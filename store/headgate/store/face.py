"""Lazy faces: a package's public names, imported on first use.

Importing SQLModel costs about a second, so ``import headgate.store`` must not do it. Each ``__init__.py`` keeps a table
of its public names and the modules that hold them, repeats them as imports under ``TYPE_CHECKING`` for type checkers,
and hands the table to :func:`lazy_face`. A test holds the three lists together.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Mapping
from importlib import import_module
from types import ModuleType
from typing import Any


def lazy_face(package: str, names: Mapping[str, str]) -> tuple[Callable[[str], Any], Callable[[], list[str]]]:
    """Return the ``__getattr__`` and ``__dir__`` of a package whose public names load on first use.

    Args:
        package: the package's ``__name__``.
        names: public name → module, relative to the package (``".errors"``). A module that ends in the name
            itself stands for the module.
    """

    class Face(ModuleType):
        """Keeps a public name public where a module of the package has the same one.

        Importing ``headgate.tasks.promote`` would otherwise put that module in the place of the function that
        ``from headgate.tasks import promote`` means, depending on which import comes first.
        """

        def __setattr__(self, name: str, value: Any) -> None:
            if isinstance(value, ModuleType) and names.get(name) == f".{name}":
                value = getattr(value, name, value)
            super().__setattr__(name, value)

    sys.modules[package].__class__ = Face

    def __getattr__(name: str) -> Any:
        module_name = names.get(name)
        if module_name is None:
            raise AttributeError(f"module {package!r} has no attribute {name!r}")
        module = import_module(module_name, package)
        value = module if module_name == f".{name}" and not hasattr(module, name) else getattr(module, name)
        setattr(sys.modules[package], name, value)
        return value

    def __dir__() -> list[str]:
        return sorted({*vars(sys.modules[package]), *names})

    return __getattr__, __dir__
