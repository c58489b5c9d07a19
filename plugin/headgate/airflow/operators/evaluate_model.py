"""``EvaluateModelOperator``: measure a model, and the champion where a gate lacks its figures."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar

from headgate.airflow.assets import dataset_inlets
from headgate.airflow.links import RunLink
from headgate.airflow.operators.gate import read_gate
from headgate.airflow.operators.run_project import RunProjectOperator
from headgate.airflow.places import beside_dag
from headgate.store.errors import InvalidInput

if TYPE_CHECKING:
    from airflow.sdk import Context

    from headgate.store.store import Store
    from headgate.tasks.evaluate import Evaluation
    from headgate.tasks.evaluators.evaluator import Evaluator
    from headgate.tasks.gates.model import Gate


class EvaluateModelOperator(RunProjectOperator):
    """Measure a model by an entry point of a project, or by a built-in evaluator: a gate then has figures to decide on.

    What is measured stands on the model, with the digest of the data. An entry point that ends well and leaves nothing
    there fails the task, with no retry spent. With a gate, the champion is measured too, on the same data, when the
    gate compares with it and has no figures of it: once per dataset, code and parameters.

    Returns a reference to the run, with the ``model_id`` that was measured, and the run that measured the champion, if
    there was one, as ``champion``.

    Args:
        project: as ``RunProjectOperator`` takes it; None with an ``evaluator``.
        evaluator: a built-in evaluation instead of a project's: a ``headgate.tasks.Evaluator``, or a mapping of its
            arguments: ``{"kind": "classification", "target": "malignant", "slices": ["site"]}``. Needs the extra
            ``evaluate``, on the workers only.
        data: what the evaluator measures on: a CSV or Parquet file, a path (which starts at the folder of the DAG's
            file) or a URI. Its name is that of ``dataset``, or else the file's.
        model: a LoggedModel's id, a ``models:/`` URI, or the output of a task that made one model.
        model_parameter: which parameter of the entry point takes the model, as ``models:/<model id>``.
        dataset: what the entry point measures on, where it doesn't say so itself: ``{"name": …, "path": …}``, with a
            path (which starts at the folder of the DAG's file) or a URI of the data; or ``{"name": …, "digest": …,
            "source": …}`` for data that live elsewhere. Metrics that the entry point logs to its run alone are then
            recorded on the model, with this digest.
        gate: as ``GateOperator`` takes it; with ``model_name``.
        model_name: the registered model whose champion the gate compares with.
        target: ``@alias`` or ``stage:Name``, whose holder is the champion.
        **kwargs: as ``RunProjectOperator`` takes them; the entry point is ``evaluate`` unless said.
    """

    template_fields: Sequence[str] = (
        *RunProjectOperator.template_fields,
        *("model", "model_parameter", "dataset", "gate", "model_name", "target", "evaluator", "data"),
    )
    operator_extra_links = (RunLink(),)
    template_fields_renderers: ClassVar[dict[str, str]] = {
        **RunProjectOperator.template_fields_renderers,
        "dataset": "json",
        "gate": "json",
        "evaluator": "json",
    }

    def __init__(
        self,
        *,
        model: str | Mapping[str, Any],
        project: str | Path | None = None,
        entry_point: str = "evaluate",
        evaluator: Mapping[str, Any] | Evaluator | None = None,
        data: str | Path | None = None,
        model_parameter: str = "model",
        dataset: Mapping[str, str] | None = None,
        gate: str | Path | Mapping[str, Any] | Gate | None = None,
        model_name: str | None = None,
        target: str = "@champion",
        **kwargs: Any,
    ) -> None:
        super().__init__(project=project or "", entry_point=entry_point, **kwargs)
        if (project is None) == (evaluator is None) or (evaluator is None) != (data is None):
            raise InvalidInput(
                f"Task {self.task_id!r} has to be told how it measures.",
                remedy="Give a project; or an evaluator, and the data that it measures on.",
            )
        if (gate is None) != (model_name is None):
            raise InvalidInput(
                f"Task {self.task_id!r} has {'a model_name and no gate' if gate is None else 'a gate, no model_name'}.",
                remedy="Give both, to measure the champion where the gate lacks its figures; or neither.",
            )
        said = dataset if isinstance(dataset, Mapping) else {}
        place = said.get("path") if data is None else data
        if dataset is not None or data is not None:
            self.inlets = dataset_inlets(self.inlets, said.get("name"), place, self.headgate_conn_id)
        self.evaluator = evaluator
        self.data = data
        self.model = model
        self.model_parameter = model_parameter
        self.dataset = dataset
        self.gate = gate
        self.model_name = model_name
        self.target = target

    def work(self, context: Context) -> dict[str, Any]:
        from headgate.airflow.references import run_reference

        with self.open_store() as store:
            gate = None if self.gate is None else read_gate(context, self.gate)
            measure = self._by_project if self.evaluator is None else self._by_evaluator
            candidate, champion = measure(context, store, gate)
            experiment_id = store.runs.get_info(candidate.run.run_id).experiment_id
        return {
            **run_reference(candidate.run, experiment_id),
            "model_id": candidate.model_id,
            "champion": champion and {"model_id": champion.model_id, "run_id": champion.run.run_id},
        }

    def _by_project(self, context: Context, store: Store, gate: Gate | None) -> tuple[Evaluation, Evaluation | None]:
        from headgate.tasks.datasets import dataset_of
        from headgate.tasks.evaluate import evaluate_champion, evaluate_model
        from headgate.tasks.handed_on import model_in

        subject = f"The dataset of task {self.task_id!r}"
        dataset = dataset_of(store, self.dataset, context["dag"].folder, subject)
        project = beside_dag(context, self.project)
        options = self.run_options(context, store)
        how: dict[str, Any] = {"model_parameter": self.model_parameter, "dataset": dataset, "store": store}
        candidate = evaluate_model(
            project, self.entry_point, self.parameters, model=model_in(self.model), **how, **options
        )
        if gate is None:
            return candidate, None
        champion = evaluate_champion(
            project,
            self.entry_point,
            self.parameters,
            candidate=candidate,
            gate=gate,
            model_name=str(self.model_name),
            target=self.target,
            **how,
            **options,
        )
        return candidate, champion

    def _by_evaluator(self, context: Context, store: Store, gate: Gate | None) -> tuple[Evaluation, Evaluation | None]:
        from headgate.airflow.identity import commit_tags, task_run
        from headgate.tasks.evaluators.evaluator import Evaluator
        from headgate.tasks.handed_on import model_in
        from headgate.tasks.measure import measure_champion, measure_model

        evaluator, task = Evaluator.of(self.evaluator or {}), task_run(store, context, self.experiment)
        data = beside_dag(context, self.data or "")
        options: dict[str, Any] = {
            "store": store,
            "dataset": (self.dataset or {}).get("name"),
            "context": task.context,
            "experiment": task.experiment,
            "run_name": self.run_name or task.name,
            "parent_run_id": task.parent_run_id,
            "tags": {**commit_tags(context), **task.tags, **(self.tags or {})},
            "stop": self.stop,
            "handle_signals": False,
        }
        candidate = measure_model(evaluator, data, model=model_in(self.model), **options)
        if gate is None:
            return candidate, None
        name = str(self.model_name)
        champion = measure_champion(
            evaluator, data, candidate=candidate, gate=gate, model_name=name, target=self.target, **options
        )
        return candidate, champion
