"""What one task takes of what another has handed on: models, runs and numbers, by name or in whatever came of a task.

An orchestrator passes the results of tasks to tasks: as mappings of ids where it writes them down as JSON, or as the
values themselves.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from headgate.store.errors import InvalidInput


def model_in(said: object) -> str:
    """Return the model that is named.

    Args:
        said: a model id, a ``models:/`` URI, or what another task handed on: a run that made one model, an evaluation,
            a verdict, a version or a promotion.

    Raises:
        InvalidInput: it names no model, or several.
    """
    if isinstance(said, str) and said not in ("", "None"):
        return said
    for key in ("model_id", "candidate_model_id"):
        if isinstance(found := _of(said, key), str):
            return found
    made = _of(said, "model_ids")
    if isinstance(made, list | tuple) and len(made) == 1:
        return str(made[0])
    if made:
        raise InvalidInput(
            f"Run {_of(said, 'run_id')} made {len(made)} models: {', '.join(map(str, made))}.",
            remedy="Say which one, by its id.",
        )
    name, version = _of(said, "model_name"), _of(said, "to_version")
    if isinstance(name, str) and isinstance(version, int):
        return f"models:/{name}/{version}"
    raise InvalidInput(
        f"No model is named: {said!r:.200}.",
        remedy="Give a model id, a models:/ URI, or the output of a task that made one.",
    )


def run_ids_in(said: object) -> list[str] | None:
    """Return the runs that are named: one, several, or those of what other tasks handed on; None for nothing.

    Raises:
        InvalidInput: something in it is no run.
    """
    if said is None or said == "":
        return None
    if isinstance(said, str):
        return [said]
    for value in (said, _of(said, "run")):
        if isinstance(found := _of(value, "run_id"), str):
            return [found]
    if isinstance(said, Sequence) and said:
        return [run_id for item in said for run_id in run_ids_in(item) or ()]
    raise InvalidInput(
        f"No run is named: {said!r:.200}.", remedy="Give run ids, or the output of tasks that made runs."
    )


def number_in(field: str, said: object) -> int | None:
    """Return the whole number that a field holds; a rendered template is a text. None when it is empty.

    Raises:
        InvalidInput: it is none.
    """
    if said is None or said in ("", "None"):
        return None
    try:
        return int(str(said))
    except ValueError as error:
        raise InvalidInput(f"{field} is {said!r:.100}.", remedy="Give a whole number.") from error


def _of(said: object, key: str) -> Any:
    return said.get(key) if isinstance(said, Mapping) else getattr(said, key, None)
