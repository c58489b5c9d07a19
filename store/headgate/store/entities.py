"""The values that leave the store: frozen, plain, picklable, in MLflow's words.

Timestamps are UTC epoch milliseconds. Identifiers are strings, ``experiment_id`` a numeric one. Everything that a
database row holds and a caller may see stands here; SQLModel classes never leave :mod:`headgate.store`.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any, Generic, TypeVar

DEFAULT_WORKSPACE = "default"
DEFAULT_EXPERIMENT_ID = "0"


class LifecycleStage(StrEnum):
    ACTIVE = "active"
    DELETED = "deleted"


class RunStatus(StrEnum):
    SCHEDULED = "SCHEDULED"
    RUNNING = "RUNNING"
    FINISHED = "FINISHED"
    FAILED = "FAILED"
    KILLED = "KILLED"

    @property
    def terminated(self) -> bool:
        return self in (RunStatus.FINISHED, RunStatus.FAILED, RunStatus.KILLED)


class LoggedModelStatus(StrEnum):
    PENDING = "PENDING"
    READY = "READY"
    FAILED = "FAILED"


class ModelVersionStatus(StrEnum):
    PENDING_REGISTRATION = "PENDING_REGISTRATION"
    READY = "READY"
    FAILED_REGISTRATION = "FAILED_REGISTRATION"


class Outcome(StrEnum):
    """What a check or a verdict says."""

    PASS = "pass"  # noqa: S105
    HOLD = "hold"
    REJECT = "reject"
    ERROR = "error"


class Severity(StrEnum):
    BLOCK = "block"
    WARN = "warn"


class ApprovalDecision(StrEnum):
    """What somebody said of a promotion that a verdict permits; TIMED_OUT stands for nobody's answer in time."""

    APPROVE = "approve"
    REJECT = "reject"
    TIMED_OUT = "timed_out"


class PromotionKind(StrEnum):
    PROMOTE = "promote"
    ROLL_BACK = "roll_back"
    OVERRIDE = "override"


@dataclass(frozen=True, slots=True)
class Experiment:
    experiment_id: str
    name: str
    artifact_location: str
    lifecycle_stage: LifecycleStage
    creation_time: int
    last_update_time: int
    workspace: str = DEFAULT_WORKSPACE
    tags: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class RunContext:
    """Which piece of an orchestrator's work a run stands for.

    A context with a ``pipeline_run_id`` names a piece of work: (workspace, origin, pipeline, pipeline run, task, map
    index). Every try of it is an *attempt* of the same work. A context without one is anonymous: each run is new.

    Args:
        origin: ``airflow``, ``prefect`` or ``local``.
        pipeline: DAG id, flow name or the name of the pipeline file.
        pipeline_run_id: the DAG run's or flow run's id.
        task: task or step id; None for the pipeline run itself.
        map_index: index of a mapped task; -1 when it is not mapped.
        attempt: the try number, from 1; None takes the next free one.
        logical_date: what the run stands for in time, epoch ms; a backfill's is in the past.
        data_interval_start: epoch ms.
        data_interval_end: epoch ms.
    """

    origin: str = "local"
    pipeline: str | None = None
    pipeline_run_id: str | None = None
    task: str | None = None
    map_index: int = -1
    attempt: int | None = None
    logical_date: int | None = None
    data_interval_start: int | None = None
    data_interval_end: int | None = None

    def work_key(self, workspace: str = DEFAULT_WORKSPACE) -> str | None:
        """Return the digest that names this piece of work; None for an anonymous context."""
        if self.pipeline_run_id is None:
            return None
        identity = [workspace, self.origin, self.pipeline, self.pipeline_run_id, self.task, self.map_index]
        return hashlib.sha256(json.dumps(identity, ensure_ascii=False).encode()).hexdigest()


@dataclass(frozen=True, slots=True)
class Metric:
    """One point of a metric. ``value`` may be NaN or infinite; the store keeps both."""

    key: str
    value: float
    timestamp: int
    step: int = 0
    run_id: str | None = None
    model_id: str | None = None
    dataset_name: str | None = None
    dataset_digest: str | None = None


@dataclass(frozen=True, slots=True)
class Param:
    key: str
    value: str


@dataclass(frozen=True, slots=True)
class Tag:
    key: str
    value: str


@dataclass(frozen=True, slots=True)
class Dataset:
    """A dataset that a run used, named by the digest of its content."""

    name: str
    digest: str
    source_type: str = "local"
    source: str = ""
    schema: str | None = None
    profile: str | None = None
    dataset_id: str | None = None


@dataclass(frozen=True, slots=True)
class DatasetInput:
    dataset: Dataset
    tags: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class ModelInput:
    model_id: str


@dataclass(frozen=True, slots=True)
class ModelOutput:
    model_id: str
    step: int = 0


@dataclass(frozen=True, slots=True)
class RunInfo:
    run_id: str
    experiment_id: str
    name: str
    status: RunStatus
    start_time: int
    end_time: int | None
    lifecycle_stage: LifecycleStage
    artifact_uri: str
    user_id: str = ""
    parent_run_id: str | None = None
    context: RunContext = field(default_factory=RunContext)
    previous_attempt_id: str | None = None
    superseded_by: str | None = None


@dataclass(frozen=True, slots=True)
class Run:
    """A run with its latest metrics, params, tags, inputs and outputs."""

    info: RunInfo
    metrics: Mapping[str, Metric] = field(default_factory=dict)
    params: Mapping[str, str] = field(default_factory=dict)
    tags: Mapping[str, str] = field(default_factory=dict)
    dataset_inputs: tuple[DatasetInput, ...] = ()
    model_inputs: tuple[ModelInput, ...] = ()
    model_outputs: tuple[ModelOutput, ...] = ()


@dataclass(frozen=True, slots=True)
class Lease:
    """Who keeps a run alive, and until when (epoch ms)."""

    run_id: str
    owner: str
    expires_at: int
    heartbeat_at: int
    host: str = ""
    pid: int | None = None


@dataclass(frozen=True, slots=True)
class LoggedModelInfo:
    """What a LoggedModel is known by, without its params, tags and metrics; fields as of :class:`LoggedModel`."""

    model_id: str
    experiment_id: str
    source_run_id: str | None
    artifact_location: str
    artifact_digest: str | None
    status: LoggedModelStatus


@dataclass(frozen=True, slots=True)
class LoggedModel:
    """MLflow 3's LoggedModel. ``metrics`` holds every point, each with its run and dataset.

    ``artifact_digest`` is the SHA-256 over the names and digests of the model's files; None for an external model.
    """

    model_id: str
    experiment_id: str
    name: str
    artifact_location: str
    creation_timestamp: int
    last_updated_timestamp: int
    status: LoggedModelStatus
    status_message: str | None = None
    model_type: str | None = None
    source_run_id: str | None = None
    lifecycle_stage: LifecycleStage = LifecycleStage.ACTIVE
    artifact_digest: str | None = None
    tags: Mapping[str, str] = field(default_factory=dict)
    params: Mapping[str, str] = field(default_factory=dict)
    metrics: tuple[Metric, ...] = ()

    @property
    def model_uri(self) -> str:
        return f"models:/{self.model_id}"


@dataclass(frozen=True, slots=True)
class RegisteredModel:
    name: str
    creation_timestamp: int
    last_updated_timestamp: int
    description: str = ""
    workspace: str = DEFAULT_WORKSPACE
    tags: Mapping[str, str] = field(default_factory=dict)
    aliases: Mapping[str, int] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class ModelVersion:
    name: str
    version: int
    source: str
    creation_timestamp: int
    last_updated_timestamp: int
    status: ModelVersionStatus = ModelVersionStatus.READY
    status_message: str | None = None
    current_stage: str = "None"
    run_id: str | None = None
    model_id: str | None = None
    description: str = ""
    user_id: str = ""
    run_link: str | None = None
    workspace: str = DEFAULT_WORKSPACE
    tags: Mapping[str, str] = field(default_factory=dict)
    aliases: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Guard:
    """A promise of the store: this target of this model moves only by a promotion through this gate.

    Args:
        approvers: whose approval counts; empty for anybody's.
        quorum: how many people have to approve before a promotion; 0 asks nobody.
        authenticated: only names that a door has authenticated count, for approvals and overrides.
        overriders: who may override the gate, and loosen or remove this guard; empty: nobody overrides.
    """

    model_name: str
    target: str
    gate_name: str
    gate_definition: Mapping[str, Any]
    gate_digest: str
    updated_at: int
    updated_by: str = ""
    workspace: str = DEFAULT_WORKSPACE
    approvers: tuple[str, ...] = ()
    quorum: int = 0
    authenticated: bool = False
    overriders: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class StageRules:
    """How the versions of one model go from stage to stage.

    Args:
        order: the stages that versions may be in, in the order in which they are entered, ``None`` first.
        single: stages that hold one version at a time.
    """

    model_name: str
    order: tuple[str, ...]
    single: tuple[str, ...]
    updated_at: int
    updated_by: str = ""
    workspace: str = DEFAULT_WORKSPACE


@dataclass(slots=True, unsafe_hash=True)
class CheckResult:
    """What one check of a gate found.

    Never changed, as nothing here is, and not frozen all the same: a decision makes a hundred of them, and would
    spend a fifth of its time on that.

    Args:
        path: where the check stands in the gate, such as ``all_of[0]``.
        kind: ``threshold``, ``worst_slice``, ``improvement``, ``slices``, ``budget``, ``freshness``, ``signature``,
            ``expectations``, ``callable`` or ``approval``.
        rule: the rule in words, such as ``recall >= 0.95 on holdout``.
        threshold: what was demanded; None where the rule has no number.
        actual: what was measured; None when there was nothing to measure.
        champion_value: the champion's figure, for a comparison.
        run_id: the run that measured ``actual``.
        measured_at: when ``actual`` was logged, epoch ms.
        message: why, in one sentence.
        margin: by how much ``actual`` exceeds ``threshold``; None without the two, or where they are no numbers.
        owner: who answers for the check; None for nobody in particular.
        reason: why the check exists.
    """

    path: str
    kind: str
    rule: str
    outcome: Outcome
    severity: Severity = Severity.BLOCK
    metric: str | None = None
    threshold: float | None = None
    actual: float | None = None
    champion_value: float | None = None
    dataset_name: str | None = None
    dataset_digest: str | None = None
    run_id: str | None = None
    measured_at: int | None = None
    message: str = ""
    margin: float | None = None
    owner: str | None = None
    reason: str | None = None


@dataclass(frozen=True, slots=True)
class Verdict:
    """A gate's decision on one candidate for one target, against one champion (or none).

    ``champion_version`` and ``champion_model_id`` are those that the decision compared with; a promotion succeeds only
    while they are still the champion. ``used_by`` is the promotion that consumed the verdict. A ``shadow`` verdict was
    decided to be watched only: it permits nothing, whatever it says.
    """

    verdict_id: str
    gate_name: str
    gate_digest: str
    gate_definition: Mapping[str, Any]
    outcome: Outcome
    model_name: str
    target: str
    candidate_model_id: str
    decided_at: int
    expires_at: int
    checks: tuple[CheckResult, ...] = ()
    candidate_digest: str | None = None
    candidate_logical_date: int | None = None
    champion_version: int | None = None
    champion_model_id: str | None = None
    decided_by: str = ""
    run_id: str | None = None
    used_by: str | None = None
    shadow: bool = False
    workspace: str = DEFAULT_WORKSPACE


@dataclass(frozen=True, slots=True)
class Approval:
    """What a person said of the promotion that a verdict permits, bound to what the verdict was about.

    Args:
        sequence: counts from 1 per verdict.
        candidate_digest, gate_digest: the verdict's; an approval is of these files, by this gate.
        actor: who said it; empty when nobody did in time.
        authenticated: whether ``source`` knew who ``actor`` is; a name that was only claimed is False.
        source: where it was said: ``cli``, ``airflow-hitl``, …
    """

    approval_id: str
    verdict_id: str
    sequence: int
    decision: ApprovalDecision
    actor: str
    authenticated: bool
    source: str
    created_at: int
    model_name: str
    target: str
    candidate_model_id: str
    gate_digest: str
    candidate_digest: str | None = None
    reason: str = ""
    workspace: str = DEFAULT_WORKSPACE


@dataclass(frozen=True, slots=True)
class Promotion:
    """One entry of the append-only history of a model's target.

    ``sequence`` counts from 1 per (model, target); the current holder of the target is the ``to_version`` of the last
    one. ``from_version`` is None for a first promotion. ``approval_id`` and ``approved_by`` name the person's approval
    that it rests on beside its verdict, where there is one. ``authenticated`` says whether a door knew that ``actor``
    is who acted; a name that was only claimed, and a task's, is False.
    """

    promotion_id: str
    model_name: str
    target: str
    sequence: int
    kind: PromotionKind
    to_version: int | None
    from_version: int | None
    created_at: int
    actor: str
    reason: str = ""
    verdict_id: str | None = None
    logical_date: int | None = None
    approval_id: str | None = None
    approved_by: str | None = None
    authenticated: bool = False
    workspace: str = DEFAULT_WORKSPACE


_T = TypeVar("_T")


@dataclass(frozen=True)
class Page(Generic[_T]):
    """One page of a search; ``next_page_token`` is None on the last one."""

    items: tuple[_T, ...]
    next_page_token: str | None = None
