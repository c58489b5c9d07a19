"""Which modules a piece of code imports, read from its bytecode."""

from __future__ import annotations

import dis
from pathlib import Path
from types import CodeType
from typing import Any

from headgate.store.errors import InvalidModel


def imported_modules(code: CodeType) -> set[str]:
    """Return the full names of the modules that ``code`` and the functions in it import, relative imports left out.

    ``from a import b`` gives ``a`` and ``a.b``, which may be a module or not.
    """
    found: set[str] = set()
    level: Any = 0
    names: Any = None
    for instruction in dis.get_instructions(code):
        # IMPORT_NAME takes the relative level and the tuple of names from the two loads before it.
        if instruction.opname == "IMPORT_NAME" and level == 0:
            found.add(instruction.argval)
            found |= {f"{instruction.argval}.{name}" for name in names or () if name != "*"}
        level, names = names, instruction.argval
    for constant in code.co_consts:
        if isinstance(constant, CodeType):
            found |= imported_modules(constant)
    return found


def imported_by_file(path: Path) -> set[str]:
    """Return the full names of the modules that a Python file imports.

    Raises:
        InvalidModel: it is no Python that this interpreter reads.
    """
    try:
        return imported_modules(compile(path.read_bytes(), str(path), "exec", dont_inherit=True))
    except (SyntaxError, ValueError) as error:
        raise InvalidModel(
            f"The model's code {str(path)!r} can't be read: {error}.", remedy="Mend it, or leave it out of code_paths."
        ) from error
