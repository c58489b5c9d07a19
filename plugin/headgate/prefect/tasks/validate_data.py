"""``validate_data``: judge data by a suite of Great Expectations."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from headgate.prefect.tasks.base import headgate_task
from headgate.tasks.expectations.results import DataValidation


@headgate_task(task_run_name="validate-data")
def validate_data(
    data: Any,
    suite: str | Path | Mapping[str, Any],
    *,
    dataset: str | None = None,
    expectation_parameters: Mapping[str, Any] | None = None,
    fail_at: str = "critical",
    experiment: str | None = None,
    run_name: str | None = None,
    tags: Mapping[str, str] | None = None,
    store: str | None = None,
) -> DataValidation:
    """Judge data by a suite of Great Expectations 1.x, as a run that keeps the result and an HTML report.

    Data that don't meet their expectations raise, and no retry is spent on them. Needs the extra ``gx``.

    Args:
        data: a CSV or Parquet file: a path, which starts at the folder of the flow's file, or a URI with ``s3``,
            ``http(s)``, ``runs`` or ``models``; or a DataFrame.
        suite: a JSON or YAML file, whose path starts there too; or a suite as a mapping.
        dataset: its name; None is the file's name without its ending.
        expectation_parameters: values of ``{"$PARAMETER": name}`` in the suite.
        fail_at: ``critical``, ``warning`` or ``info``: an expectation of this severity, or a worse one, that is not met
            rejects the data.
        experiment: its name; made when it is missing. None is the flow's name.
        run_name: None is the task run's name.
        tags: of the run.
        store: the name of a ``HeadgateStore`` block; see :func:`headgate.prefect.store_access.open_store_of`.

    Raises:
        DataRejected: the data don't meet their expectations; ``run_id`` names the run that keeps the report.
        InvalidSuite: they could not be judged.
        HeadgateError: as :func:`headgate.tasks.validate_data`.
    """
    from headgate.prefect.identity import task_run
    from headgate.prefect.places import beside_flow
    from headgate.prefect.processes import at_work
    from headgate.prefect.store_access import open_store_of
    from headgate.tasks.validate_data import validate_data as validate
    from headgate.tasks.validate_data import validation_error

    place = beside_flow(data) if isinstance(data, str | Path) else data
    with open_store_of(store) as opened, at_work() as stop:
        task = task_run(opened, experiment)
        validation = validate(
            place,
            suite if isinstance(suite, Mapping) else beside_flow(suite),
            store=opened,
            name=dataset,
            parameters=expectation_parameters,
            fail_at=fail_at,
            context=task.context,
            experiment=task.experiment,
            run_name=run_name or task.name,
            parent_run_id=task.parent_run_id,
            tags={**task.tags, **(tags or {})},
            stop=stop,
            handle_signals=False,
        )
    if (error := validation_error(validation)) is not None:
        raise error
    return validation
