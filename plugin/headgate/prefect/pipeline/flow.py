"""``pipeline_flow``: a pipeline file as a flow, to be called, served and deployed as any other."""

from __future__ import annotations

import hashlib
import inspect
import re
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from prefect import Flow

from headgate.prefect.pipeline.conduct import PipelineOutcome, conduct
from headgate.prefect.pipeline.placing import MODULE, Place, described, read_description, variable_of, whole_number
from headgate.prefect.pipeline.schedule import flow_schedules, flow_triggers
from headgate.prefect.pipeline.signature import flow_docstring, flow_signature, given_parameters
from headgate.prefect.pipeline.source import PipelineSource, callers_file, outline_of
from headgate.prefect.rejection import checked_on_reject, ends_by
from headgate.store.errors import InvalidInput

if TYPE_CHECKING:
    from headgate.flows.model import Pipeline

# Any of these, given to a deployment, takes the place of what the pipeline's file says.
_SCHEDULES = ("interval", "cron", "rrule", "schedule", "schedules")


def pipeline_flow(
    pipeline: Pipeline | str | Path,
    *,
    parameters: Mapping[str, Any] | None = None,
    name: str | None = None,
    env: str | None = None,
    experiment: str | None = None,
    store: str | None = None,
    on_reject: str | None = None,
    approval: bool | Mapping[str, Any] = False,
    max_parallel: int | None = None,
    step_options: Mapping[str, Mapping[str, Any]] | None = None,
    **flow_options: Any,
) -> PipelineFlow:
    """Make a flow of a pipeline: a task per step, mapped tasks for its sweeps, and the promotion as tasks of its own.

    ::

        from headgate.prefect import pipeline_flow

        retraining = pipeline_flow("pipeline.yaml")

        if __name__ == "__main__":
            retraining.serve("weekly")

    The flow's parameters are those of the file, with their types, defaults and choices. A flow run records what
    ``headgate run`` records: a run of the pipeline, below it one run per attempt of a step and per member of a sweep,
    the verdict and the promotion. A flow run that runs again, because it was suspended or retried, goes on where it
    stopped: what has finished is not run twice.

    Args:
        pipeline: a pipeline file or its folder, relative to the folder of the file that calls this, or else to the
            working directory; or a pipeline in Python.
        parameters: values over the defaults of the pipeline's parameters; they become the defaults of the flow's.
        name: of the flow; None takes the pipeline's.
        env: environment of every step, over what the pipeline says: ``local``, ``virtualenv``, ``conda``, ``docker``.
        experiment: experiment of the runs, over what the pipeline says.
        store: the name of a ``HeadgateStore`` block; see :func:`headgate.prefect.store_access.open_store_of`.
        on_reject: how the flow run ends when the verdict says reject or hold: ``fail``, ``skip`` or ``succeed``; None
            as the file says.
        approval: True, or arguments of ``approve_promotion`` such as ``{"suspend": True}``: a person has to agree
            before the promotion.
        max_parallel: the most entry points at once; None is the number of processors.
        step_options: step → options of its tasks, such as ``{"train": {"tags": ["gpu"], "retry_delay_seconds": 60}}``.
        **flow_options: as ``@flow`` takes them.

    Raises:
        InvalidPipeline: something is wrong with the file or with what it refers to; with file, line and remedy.
        InvalidInput: an argument makes no sense.
    """
    given = dict(parameters or {})
    file = callers_file()
    plan = outline_of(pipeline, file, given)
    said = {"env": env, "experiment": experiment, "store": store, "name": name, "max_parallel": max_parallel}
    said["on_reject"] = on_reject
    source = PipelineSource(
        plan,
        env=env,
        experiment=experiment,
        store=store,
        on_reject=str(checked_on_reject(plan.on_reject if on_reject is None else on_reject)),
        approval=_approval(approval),
        max_parallel=max_parallel,
        step_options=step_options or {},
    )
    whole = not (given or approval or step_options or flow_options)
    return _make(source, given, name, flow_options, Place(file, said if whole else None))


def _approval(said: bool | Mapping[str, Any]) -> Mapping[str, Any] | None:
    if isinstance(said, Mapping):
        return said
    return {} if said else None


def described_flow(description: str) -> PipelineFlow:
    """Make the flow that an entrypoint below :mod:`headgate.prefect.pipelines` stands for.

    Raises:
        InvalidPipeline: something is wrong with the file or with what it refers to; with file, line and remedy.
        InvalidInput: an option makes no sense.
    """
    place, said = read_description(description)
    options: dict[str, Any] = dict(said)
    if "max_parallel" in said:
        options["max_parallel"] = whole_number("max_parallel", said["max_parallel"])
    return pipeline_flow(Path.cwd() / place, **options)


def _make(
    source: PipelineSource, given: Mapping[str, Any], name: str | None, options: Mapping[str, Any], place: Place
) -> PipelineFlow:
    from headgate.flows.plan_markdown import plan_markdown
    from headgate.prefect.hooks import settling_hook

    pipeline = source.plan.pipeline

    def whole(**arguments: Any) -> PipelineOutcome:
        return conduct(source, given_parameters(pipeline, arguments))

    body = ends_by(source.on_reject, whole)
    for hook in ("on_cancellation", "on_crashed"):
        options = {**options, hook: [*(options.get(hook) or ()), settling_hook(source.store)]}
    body.__name__ = body.__qualname__ = re.sub(r"\W+", "_", pipeline.name).strip("_") or "pipeline"
    body.__doc__ = flow_docstring(pipeline)
    body.__signature__ = flow_signature(pipeline, given)  # type: ignore[attr-defined]
    defaults = {"description": plan_markdown(source.plan), "version": _version(pipeline)}
    made = PipelineFlow(body, name=name or flow_name_of(pipeline.name), **{**defaults, **options})
    made.source, made.place = source, place
    return made


def flow_name_of(name: str) -> str:
    """Return the name of a flow of a pipeline's name: what Prefect refuses in names becomes a hyphen."""
    return re.sub(r"[/%&><]+", "-", name)


class PipelineFlow(Flow[..., PipelineOutcome]):
    """The flow of a pipeline; :func:`pipeline_flow` makes it.

    ``serve``, ``to_deployment`` and ``deploy`` are Prefect's own. Unless they are told otherwise, the deployment has
    the schedule of the pipeline's file: its cron expression in its time zone, and triggers for what it waits for.
    ``schedules=[]`` and ``triggers=[]`` leave those out.

    Attributes:
        source: the pipeline, and how it is to run.
        place: where a process that runs a deployment finds the flow.
    """

    source: PipelineSource
    place: Place

    if not TYPE_CHECKING:  # Prefect's own signatures stand

        def with_options(self, **options: Any) -> Any:
            changed = super().with_options(**options)
            changed.__class__ = type(self)  # Prefect makes a plain flow of it
            changed.source, changed.place = self.source, replace(self.place, said=None)
            return changed

        def to_deployment(self, name: str, **options: Any) -> Any:
            return super().to_deployment(name, **self._of_the_file(options))

        async def ato_deployment(self, name: str, **options: Any) -> Any:
            return await super().ato_deployment(name, **self._of_the_file(options))

    def _of_the_file(self, options: Mapping[str, Any]) -> dict[str, Any]:
        """Return the options of a deployment, with what the pipeline's file says where they say nothing."""
        from headgate.flows.embedding import refuse_missing

        pipeline = self.source.plan.pipeline
        of_the_file: dict[str, Any] = {}
        if all(options.get(name) is None for name in _SCHEDULES):
            of_the_file["schedules"] = flow_schedules(pipeline)
        if options.get("triggers") is None:
            of_the_file["triggers"] = flow_triggers(pipeline)
        if of_the_file.get("schedules") or of_the_file.get("triggers"):
            given = {**self._defaults(), **(options.get("parameters") or {})}
            given = given_parameters(pipeline, given)
            refuse_missing(pipeline, given, why="a scheduled run is given none", or_else="pass it to the deployment")
        return {**options, **of_the_file, **self._findable()}

    def _defaults(self) -> dict[str, Any]:
        parameters = inspect.signature(self.fn).parameters.values()
        return {each.name: each.default for each in parameters if each.default is not inspect.Parameter.empty}

    def _findable(self) -> dict[str, Any]:
        """Let Prefect name what the process of a deployed run finds this flow by.

        Raises:
            InvalidInput: it could not be found.
        """
        from prefect.types.entrypoint import EntrypointType

        if self._storage is not None:
            return {}
        variable = variable_of(self, self.place.file)
        if variable is not None:
            self.__module__, self.__name__ = variable
            self.fn.__qualname__ = self.__name__
            return {}
        source = self.source.plan.pipeline.source
        if self.place.said is None or source is None:
            raise InvalidInput(
                f"The flow of the pipeline {self.source.plan.pipeline.name!r} is no variable of a module, so no "
                "process but this one could find it.",
                remedy="Assign it at the top of a file: retraining = pipeline_flow(…).",
            )
        self.__module__, self.__name__ = MODULE, described(Path(source.file).absolute(), self.place.said)
        return {"entrypoint_type": EntrypointType.MODULE_PATH}


def _version(pipeline: Pipeline) -> str | None:
    """Return a version of the pipeline's file: a digest of what it says."""
    if pipeline.source is None:
        return None
    return hashlib.sha256(Path(pipeline.source.file).read_bytes()).hexdigest()[:12]
