"""Which installed distribution a module comes from."""

from __future__ import annotations

import json
import sys
from functools import lru_cache
from importlib import metadata

_NEVER_SHIPPED = frozenset({"headgate"})  # however it was installed


def is_standard(module: str) -> bool:
    """Whether a module is Python's own, or the main script."""
    top = module.partition(".")[0]
    return top in sys.stdlib_module_names or top in ("__main__", "__mp_main__")


def is_installed(module: str) -> bool:
    """Whether a package index has the module, as far as can be seen: an editable install is the user's own code."""
    return bool(_distributions(module))


def pinned(modules: frozenset[str]) -> list[str]:
    """Return ``name==version`` for each distribution that the modules come from, sorted, without local labels."""
    names = {name for module in modules for name in _distributions(module)}
    return sorted(f"{name}=={metadata.version(name).partition('+')[0]}" for name in names)


def _distributions(module: str) -> tuple[str, ...]:
    top = module.partition(".")[0]
    names = _by_top_level().get(top) or ((top,) if _exists(top) else ())
    names = tuple(name for name in dict.fromkeys(names) if top in _NEVER_SHIPPED or not _is_editable(name))
    if len(names) < 2:
        return names
    # Several distributions share a namespace package: take those that have this module, or else what it stands in.
    place = module.replace(".", "/")
    while place != top:
        having = tuple(name for name in names if any(str(f).startswith(place) for f in metadata.files(name) or ()))
        if having:
            return having
        place = place.rpartition("/")[0]
    return names


@lru_cache(maxsize=1)
def _by_top_level() -> dict[str, tuple[str, ...]]:
    return {top: tuple(names) for top, names in metadata.packages_distributions().items()}


def _exists(name: str) -> bool:
    try:
        metadata.distribution(name)
    except metadata.PackageNotFoundError:
        return False
    return True


def _is_editable(name: str) -> bool:
    origin = metadata.distribution(name).read_text("direct_url.json")
    return origin is not None and bool(json.loads(origin).get("dir_info", {}).get("editable", False))
