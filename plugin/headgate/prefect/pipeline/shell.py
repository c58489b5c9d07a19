"""What ``headgate prefect`` does: deploy a pipeline, or run it here. It returns plain values for the shell to print."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from headgate.prefect.pipeline.flow import PipelineFlow, pipeline_flow
from headgate.prefect.pipeline.placing import entrypoint
from headgate.store.errors import HeadgateError, InvalidInput, NotFound, StoreUnavailable


def deploy(
    pipeline: str,
    *,
    pool: str,
    queue: str | None,
    name: str,
    folder: str | None,
    parameters: Mapping[str, str],
    scheduled: bool,
    **how: Any,
) -> dict[str, Any]:
    """Deploy a pipeline to a work pool, or change the deployment of this name.

    Args:
        folder: where the workers find the pipeline's folder; None is where it is here.
        parameters: of the deployment.
        scheduled: whether it has the schedule of the pipeline's file.
        **how: as :func:`headgate.prefect.pipeline_flow` takes it, without None.

    Returns:
        What ``docs/cli.md`` says of a deployment.

    Raises:
        InvalidPipeline: something is wrong with the file or a parameter; with file, line and remedy.
        NotFound: there is no such work pool.
        StoreUnavailable: Prefect's server did not answer.
    """
    said = {key: value for key, value in how.items() if value is not None}
    flow = pipeline_flow(_here(pipeline), **said)
    source = flow.source.plan.pipeline.source
    assert source is not None
    options: dict[str, Any] = {} if scheduled else {"schedules": [], "triggers": []}
    deployment: Any = flow.to_deployment(
        name,
        parameters=_arguments(flow, parameters, kept=True),
        work_pool_name=pool,
        work_queue_name=queue,
        **options,
    )
    if folder is not None:
        file = Path(source.file)
        place = folder if file.name in ("pipeline.yaml", "pipeline.yml") else f"{folder.rstrip('/')}/{file.name}"
        deployment.entrypoint = entrypoint(place, said)
    with _answers():
        _require_pool(pool)
        deployment_id = deployment.apply()
    return {
        "deployment_id": str(deployment_id),
        "flow_name": flow.name,
        "name": name,
        "work_pool": pool,
        "entrypoint": deployment.entrypoint,
        "schedules": [_schedule_text(schedule) for schedule in deployment.schedules or ()],
        "triggers": [trigger.name for trigger in deployment.triggers],
        "parameters": dict(deployment.parameters or {}),
    }


def run(pipeline: str, *, parameters: Mapping[str, str], **how: Any) -> tuple[dict[str, Any], HeadgateError | None]:
    """Run a pipeline as a flow run of this process.

    Args:
        parameters: of the pipeline.
        **how: as :func:`headgate.prefect.pipeline_flow` takes it, without None.

    Returns:
        What ``docs/cli.md`` says of a flow run, and the error that it failed with.

    Raises:
        InvalidPipeline: something is wrong with the file or a parameter; with file, line and remedy.
        StoreUnavailable: Prefect's server did not answer.
    """
    from prefect.settings import PREFECT_UI_URL

    from headgate.prefect.pipeline.conduct import PipelineOutcome

    flow = pipeline_flow(_here(pipeline), **{key: value for key, value in how.items() if value is not None})
    with _answers():
        state: Any = flow(**_arguments(flow, parameters, kept=False), return_state=True)
    result = state.result(raise_on_failure=False)
    error = result if isinstance(result, BaseException) else None
    if error is not None and not isinstance(error, HeadgateError):
        raise error
    outcome = result if isinstance(result, PipelineOutcome) else None
    flow_run_id = str(state.state_details.flow_run_id)
    url = PREFECT_UI_URL.value()
    ended = {
        "flow_run_id": flow_run_id,
        "flow_run_name": _name_of(flow_run_id),
        "state": state.name,
        "state_type": state.type.value,
        "url": f"{url}/runs/flow-run/{flow_run_id}" if url else None,
        **{
            key: getattr(outcome, key, None)
            for key in (
                "pipeline",
                "run_id",
                "experiment_id",
                "runs",
                "verdict_id",
                "outcome",
                "promotion_id",
                "version",
            )
        },
    }
    return ended, error


def _here(pipeline: str) -> Path:
    """Return the path as whoever typed it means it: from where they are."""
    return Path.cwd() / pipeline


def _arguments(flow: PipelineFlow, given: Mapping[str, str], *, kept: bool) -> dict[str, Any]:
    """Return typed arguments of a flow out of what was typed.

    Args:
        kept: whether Prefect keeps them, where everybody can read them.

    Raises:
        InvalidPipeline: a parameter is unknown, not of its type or none of its choices.
        InvalidInput: a secret would be kept.
    """
    from headgate.flows.embedding import typed
    from headgate.flows.mistakes import invalid_pipeline
    from headgate.flows.parameters import try_parameters
    from headgate.prefect.pipeline.signature import argument_names

    pipeline = flow.source.plan.pipeline
    values, mistakes = try_parameters(pipeline, given, may_be_missing=True)
    if mistakes:
        raise invalid_pipeline(mistakes, pipeline.label)
    for name in given:
        if kept and values[name].secret:
            raise InvalidInput(
                f"The parameter {name!r} is a secret, and the parameters of a deployment can be read by everybody.",
                remedy="Give it to the entry point through the environment of the work pool's jobs.",
            )
    arguments = argument_names(pipeline)
    return {arguments[name]: typed(pipeline.parameters[name], values[name].text) for name in given}


def _schedule_text(schedule: Any) -> str:
    cron, zone = getattr(schedule.schedule, "cron", None), getattr(schedule.schedule, "timezone", None)
    return f"{cron} ({zone})" if zone else str(cron)


def _require_pool(name: str) -> None:
    from prefect.client.orchestration import get_client
    from prefect.exceptions import ObjectNotFound

    with get_client(sync_client=True) as client:
        try:
            client.read_work_pool(name)
        except ObjectNotFound as error:
            raise NotFound(
                f"Prefect has no work pool {name!r}.",
                remedy=f"Make it: prefect work-pool create {name} --type process.",
            ) from error


def _name_of(flow_run_id: str) -> str:
    from prefect.client.orchestration import get_client

    with get_client(sync_client=True) as client:
        return str(client.read_flow_run(flow_run_id).name)  # type: ignore[arg-type]


@contextmanager
def _answers() -> Iterator[None]:
    """Say that Prefect's server did not answer, when it did not."""
    import httpx

    try:
        yield
    except httpx.TransportError as error:
        raise StoreUnavailable(
            f"Prefect's server did not answer: {error}", remedy="Check PREFECT_API_URL, and that the server runs."
        ) from error
