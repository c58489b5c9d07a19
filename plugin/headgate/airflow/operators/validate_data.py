"""``ValidateDataOperator``: judge data by a suite of Great Expectations."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar

from headgate.airflow.assets import dataset_inlets
from headgate.airflow.operators.base import HeadgateOperator
from headgate.airflow.places import beside_dag
from headgate.airflow.rejection import Rejection

if TYPE_CHECKING:
    from airflow.sdk import Context


class ValidateDataOperator(Rejection, HeadgateOperator):
    """Judge data by a suite of Great Expectations 1.x, as a run that keeps the result and an HTML report.

    Data that don't meet their expectations are rejected, which spends no retry. What could not be judged (an unknown
    expectation, an empty suite, a missing column) always fails the task. Needs the extra ``gx``, on the workers only.

    Returns a reference to the validation, however the task ends: its run, outcome, the dataset with its digest, and the
    reasons of what was not met. The values of the data are in the report alone.

    Args:
        data: a CSV or Parquet file: a path, which starts at the folder of the DAG's file, or a URI with ``s3``,
            ``http(s)``, ``runs`` or ``models``.
        suite: a JSON or YAML file, whose path starts there too; or a suite as a mapping.
        dataset: its name; None is the file's name without its ending.
        expectation_parameters: values of ``{"$PARAMETER": name}`` in the suite.
        fail_at: ``critical``, ``warning`` or ``info``: an expectation of this severity, or a worse one, that is not met
            rejects the data.
        experiment: its name; made when it is missing. None is the DAG's id.
        run_name: None is the task's id.
        tags: of the run.
        on_reject, on_reject_tasks, on_pass_tasks: as ``GateOperator`` takes them.
    """

    template_fields: Sequence[str] = (
        *HeadgateOperator.template_fields,
        *("data", "suite", "dataset", "expectation_parameters", "fail_at", "experiment", "run_name", "tags"),
        *("on_reject_tasks", "on_pass_tasks"),
    )
    template_fields_renderers: ClassVar[dict[str, str]] = {"suite": "json", "expectation_parameters": "json"}

    def __init__(
        self,
        *,
        data: str | Path,
        suite: str | Path | Mapping[str, Any],
        dataset: str | None = None,
        expectation_parameters: Mapping[str, Any] | None = None,
        fail_at: str = "critical",
        experiment: str | None = None,
        run_name: str | None = None,
        tags: Mapping[str, str] | None = None,
        on_reject: str = "fail",
        on_reject_tasks: Sequence[str] | str | None = None,
        on_pass_tasks: Sequence[str] | str | None = None,
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        self.inlets = dataset_inlets(self.inlets, dataset, data, self.headgate_conn_id)
        self.data = data
        self.suite = suite
        self.dataset = dataset
        self.expectation_parameters = expectation_parameters
        self.fail_at = fail_at
        self.experiment = experiment
        self.run_name = run_name
        self.tags = tags
        self.on_reject_tasks = on_reject_tasks
        self.on_pass_tasks = on_pass_tasks
        self.say_on_reject(on_reject, on_reject_tasks, on_pass_tasks)

    def work(self, context: Context) -> dict[str, Any]:
        from headgate.airflow.identity import task_run
        from headgate.airflow.references import validation_reference
        from headgate.store.entities import Outcome
        from headgate.tasks.validate_data import validate_data, validation_error

        with self.open_store() as store:
            task = task_run(store, context, self.experiment)
            validation = validate_data(
                beside_dag(context, self.data),
                self.suite if isinstance(self.suite, Mapping) else beside_dag(context, self.suite),
                store=store,
                name=self.dataset,
                parameters=self.expectation_parameters,
                fail_at=self.fail_at,
                context=task.context,
                experiment=task.experiment,
                run_name=self.run_name or task.name,
                parent_run_id=task.parent_run_id,
                tags={**task.tags, **(self.tags or {})},
                stop=self.stop,
                handle_signals=False,
            )
            reference = validation_reference(validation, store.runs.get_info(validation.run_id).experiment_id)
        error = validation_error(validation)
        if error is None:
            return self.accepted(context, reference)
        if validation.outcome is Outcome.ERROR:
            self.no_answer(context, reference, error)
        return self.rejected(context, reference, error)
