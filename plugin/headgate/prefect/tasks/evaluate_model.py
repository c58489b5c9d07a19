"""``evaluate_model``: measure a model, and the champion where a gate lacks its figures."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from headgate.prefect.tasks.base import headgate_task
from headgate.store.entities import RunContext
from headgate.store.errors import InvalidInput
from headgate.tasks.evaluate import Evaluation

if TYPE_CHECKING:
    from headgate.tasks.gates.model import Gate


@headgate_task(task_run_name="{entry_point}")
def evaluate_model(
    project: str | Path,
    entry_point: str = "evaluate",
    parameters: Mapping[str, Any] | None = None,
    *,
    model: Any,
    model_parameter: str = "model",
    dataset: Mapping[str, str] | None = None,
    gate: str | Path | Mapping[str, Any] | Gate | None = None,
    model_name: str | None = None,
    target: str = "@champion",
    experiment: str | None = None,
    version: str | None = None,
    env: str | None = None,
    env_vars: Mapping[str, str] | None = None,
    run_name: str | None = None,
    tags: Mapping[str, str] | None = None,
    store: str | None = None,
) -> Evaluation:
    """Run an evaluating entry point of a project for a model, so that a gate has figures to decide on.

    What it measures stands on the model, with the digest of the data. An entry point that ends well and leaves nothing
    there fails the task, with no retry spent. With a gate, the champion is measured too, on the same data, when the
    gate compares with it and has no figures of it: once per dataset, code and parameters.

    Args:
        model: a LoggedModel's id, a ``models:/`` URI, or what a task returned that made one model.
        model_parameter: which parameter of the entry point takes the model, as ``models:/<model id>``.
        dataset: what the entry point measures on, where it doesn't say so itself: ``{"name": …, "path": …}``, with a
            path (which starts at the folder of the flow's file) or a URI of the data; or ``{"name": …, "digest": …,
            "source": …}`` for data that live elsewhere. Metrics that the entry point logs to its run alone are then
            recorded on the model, with this digest.
        gate: as ``decide_gate`` takes it; with ``model_name``.
        model_name: the registered model whose champion the gate compares with.
        target: ``@alias`` or ``stage:Name``, whose holder is the champion.
        project, entry_point, parameters, experiment, version, env, env_vars, run_name, tags, store: as ``run_project``
            takes them.

    Returns:
        What was measured on the model, and by which run.

    Raises:
        NothingMeasured: the entry point left no metric with a dataset's digest on the model.
        HeadgateError: as :func:`headgate.tasks.evaluate_model`; no retry is spent on a Terminal one.
    """
    from headgate.prefect.artifacts.publish import show
    from headgate.prefect.artifacts.run import publish_run
    from headgate.prefect.places import beside_flow, flow_folder
    from headgate.prefect.processes import at_work
    from headgate.prefect.store_access import open_store_of
    from headgate.prefect.tasks.decide_gate import read_gate
    from headgate.prefect.tasks.run_project import run_options
    from headgate.tasks.datasets import dataset_of
    from headgate.tasks.evaluate import evaluate_champion
    from headgate.tasks.evaluate import evaluate_model as evaluate
    from headgate.tasks.handed_on import model_in

    if (gate is None) != (model_name is None):
        raise InvalidInput(
            f"evaluate_model has {'a model_name and no gate' if gate is None else 'a gate, and no model_name'}.",
            remedy="Give both, to measure the champion where the gate lacks its figures; or neither.",
        )
    with open_store_of(store) as opened, at_work() as stop:
        measured = model_in(model)
        options = run_options(
            opened,
            stop,
            request={
                "project": project,
                "entry_point": entry_point,
                "parameters": parameters,
                "model": measured,
                "model_parameter": model_parameter,
                "dataset": dataset,
            },
            experiment=experiment,
            version=version,
            env=env,
            env_vars=env_vars,
            run_name=run_name,
            tags=tags,
        )
        where = beside_flow(project)
        data = dataset_of(opened, dataset, flow_folder(), "The dataset")
        how: dict[str, Any] = {"store": opened, "model_parameter": model_parameter, "dataset": data}
        candidate = evaluate(where, entry_point, parameters, model=measured, **how, **options)
        show(lambda: publish_run(opened, candidate.run.run_id))
        if gate is not None:
            # The champion's run has attempts of its own.
            options["context"] = replace(options["context"] or RunContext(), attempt=None)
            evaluate_champion(
                where,
                entry_point,
                parameters,
                candidate=candidate,
                gate=read_gate(gate),
                model_name=str(model_name),
                target=target,
                **how,
                **options,
            )
        return candidate
