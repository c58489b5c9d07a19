"""``measure_model``: measure a model by a built-in evaluator, and the champion where a gate compares with it."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from headgate.prefect.tasks.base import headgate_task
from headgate.store.errors import InvalidInput
from headgate.tasks.evaluate import Evaluation

if TYPE_CHECKING:
    from headgate.tasks.evaluators.evaluator import Evaluator
    from headgate.tasks.gates.model import Gate


@headgate_task()
def measure_model(
    evaluator: Mapping[str, Any] | Evaluator,
    data: Any,
    *,
    model: Any,
    dataset: str | None = None,
    gate: str | Path | Mapping[str, Any] | Gate | None = None,
    model_name: str | None = None,
    target: str = "@champion",
    experiment: str | None = None,
    run_name: str | None = None,
    tags: Mapping[str, str] | None = None,
    store: str | None = None,
) -> Evaluation:
    """Measure a model on labelled data, with no entry point of a project. Needs the extra ``evaluate``.

    Every figure stands on the model with the digest of the data. With a gate that compares with the champion, the
    champion is measured too, in the same way: once per data and evaluator.

    Args:
        evaluator: a ``headgate.tasks.Evaluator``, or a mapping of its arguments:
            ``{"kind": "classification", "target": "malignant", "slices": ["site"]}``.
        data: a CSV or Parquet file: a path, which starts at the folder of the flow's file, or a URI; or a DataFrame.
        model: a LoggedModel's id, a ``models:/`` URI, or what a task returned that made one model.
        dataset: the data's name; None is the file's name without its ending.
        gate: as ``decide_gate`` takes it; with ``model_name``.
        model_name: the registered model whose champion the gate compares with.
        target: ``@alias`` or ``stage:Name``, whose holder is the champion.
        experiment: its name; made when it is missing. None is the flow's name.
        run_name: None is the task run's name.
        tags: of the run.
        store: the name of a ``HeadgateStore`` block; see :func:`headgate.prefect.store_access.open_store_of`.

    Returns:
        What was measured on the model, and by which run.

    Raises:
        HeadgateError: as :func:`headgate.tasks.measure_model`; no retry is spent on a Terminal one.
    """
    from dataclasses import replace

    from headgate.prefect.artifacts.publish import show
    from headgate.prefect.artifacts.run import publish_run
    from headgate.prefect.identity import task_run
    from headgate.prefect.places import beside_flow
    from headgate.prefect.processes import at_work
    from headgate.prefect.store_access import open_store_of
    from headgate.prefect.tasks.decide_gate import read_gate
    from headgate.tasks.evaluators.evaluator import Evaluator
    from headgate.tasks.handed_on import model_in
    from headgate.tasks.measure import measure_champion
    from headgate.tasks.measure import measure_model as measure

    if (gate is None) != (model_name is None):
        raise InvalidInput(
            f"measure_model has {'a model_name and no gate' if gate is None else 'a gate, and no model_name'}.",
            remedy="Give both, to measure the champion that the gate compares with; or neither.",
        )
    said = Evaluator.of(evaluator)
    place = beside_flow(data) if isinstance(data, str | Path) else data
    with open_store_of(store) as opened, at_work() as stop:
        task = task_run(opened, experiment)
        options: dict[str, Any] = {
            "store": opened,
            "dataset": dataset,
            "experiment": task.experiment,
            "run_name": run_name or task.name,
            "parent_run_id": task.parent_run_id,
            "tags": {**task.tags, **(tags or {})},
            "stop": stop,
            "handle_signals": False,
        }
        candidate = measure(said, place, model=model_in(model), context=task.context, **options)
        show(lambda: publish_run(opened, candidate.run.run_id))
        if gate is not None:
            # The champion's run has attempts of its own.
            context = replace(task.context, attempt=None)
            measure_champion(
                said,
                place,
                candidate=candidate,
                gate=read_gate(gate),
                model_name=str(model_name),
                target=target,
                context=context,
                **options,
            )
        return candidate
