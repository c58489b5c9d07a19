"""The JSON documents of ``--json``: stable keys, each with its meaning.

``DOCUMENTED`` is what ``docs/cli.md`` prints and what tests hold the documents to. Keys are only ever added.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from headgate.cli.plain_values import plain

if TYPE_CHECKING:
    from headgate.flows.results import PipelineResult, StepResult
    from headgate.store.deliveries import Delivery
    from headgate.store.entities import (
        Approval,
        Experiment,
        Guard,
        LoggedModel,
        Metric,
        ModelVersion,
        Promotion,
        RegisteredModel,
        Run,
        StageRules,
        Verdict,
    )
    from headgate.store.errors import HeadgateError
    from headgate.store.webhooks import Webhook
    from headgate.tasks.watch.look import Watched

DOCUMENTED: Mapping[str, Mapping[str, str]] = {
    "experiment": {
        "experiment_id": "a number, as text",
        "name": "unique in its workspace",
        "lifecycle_stage": "`active` or `deleted`",
        "artifact_location": "where its runs keep artifacts",
        "creation_time": "epoch ms",
        "last_update_time": "epoch ms",
        "workspace": "the workspace it belongs to",
        "tags": "object of texts",
    },
    "run": {
        "run_id": "32 hexadecimal digits",
        "experiment_id": "a number, as text",
        "name": "the run's name",
        "status": "`SCHEDULED`, `RUNNING`, `FINISHED`, `FAILED` or `KILLED`",
        "start_time": "epoch ms",
        "end_time": "epoch ms, or null while it runs",
        "lifecycle_stage": "`active` or `deleted`",
        "artifact_uri": "where its artifacts are",
        "user_id": "who started it",
        "parent_run_id": "the run that this one is nested in, or null",
        "previous_attempt_id": "the attempt before this one, or null",
        "superseded_by": "the newer attempt, or null",
        "context": "object: `origin`, `pipeline`, `pipeline_run_id`, `task`, `map_index`, `attempt`, `logical_date`, "
        "`data_interval_start`, `data_interval_end`",
        "params": "object of texts",
        "metrics": "object: latest value of each metric; `NaN`, `Infinity` and `-Infinity` are texts",
        "tags": "object of texts",
        "dataset_inputs": "array of objects: `name`, `digest`, `source_type`, `source`, `dataset_id`, `tags`",
        "model_inputs": "array of model ids",
        "model_outputs": "array of model ids",
    },
    "registered_model": {
        "name": "unique in its workspace",
        "description": "text",
        "creation_timestamp": "epoch ms",
        "last_updated_timestamp": "epoch ms",
        "workspace": "the workspace it belongs to",
        "tags": "object of texts",
        "aliases": "object: the version that each alias points to",
    },
    "model_version": {
        "name": "the registered model",
        "version": "number, from 1",
        "source": "where the model's files are",
        "status": "`READY`, `PENDING_REGISTRATION` or `FAILED_REGISTRATION`",
        "current_stage": "`None`, `Staging`, `Production` or `Archived`",
        "aliases": "array of texts",
        "run_id": "the run that made it, or null",
        "model_id": "its LoggedModel, or null",
        "description": "text",
        "user_id": "who registered it",
        "creation_timestamp": "epoch ms",
        "last_updated_timestamp": "epoch ms",
        "tags": "object of texts",
    },
    "logged_model": {
        "model_id": "`m-` and 32 hexadecimal digits",
        "experiment_id": "a number, as text",
        "name": "the model's name",
        "model_type": "text, or null",
        "status": "`PENDING`, `READY` or `FAILED`",
        "source_run_id": "the run that made it, or null",
        "artifact_location": "where its files are",
        "artifact_digest": "SHA-256 over its files, or null",
        "creation_timestamp": "epoch ms",
        "last_updated_timestamp": "epoch ms",
        "params": "object of texts",
        "tags": "object of texts",
        "metrics": "array of objects: `key`, `value`, `timestamp`, `step`, `run_id`, `dataset_name`, `dataset_digest`",
    },
    "guard": {
        "model_name": "the registered model",
        "target": "`@alias` or `stage:Name`, which moves only by a promotion through the gate",
        "gate_name": "the gate",
        "gate_digest": "SHA-256 of the gate's definition",
        "gate_definition": "the gate",
        "updated_at": "epoch ms",
        "updated_by": "who set it",
        "approvers": "array: whose approval counts; empty for anybody's",
        "quorum": "how many people have to approve a promotion",
        "authenticated": "whether only names count that a door has proved",
        "overriders": "array: who may override the gate, and change or remove the guard",
    },
    "stage_rules": {
        "model_name": "the registered model",
        "order": "array: the stages in the order in which they are entered",
        "single": "array: stages that hold one version at a time",
        "updated_at": "epoch ms",
        "updated_by": "who set them",
    },
    "promotion": {
        "promotion_id": "names the promotion",
        "model_name": "the registered model",
        "target": "`@alias` or `stage:Name`",
        "sequence": "counts from 1 per model and target",
        "kind": "`promote`, `roll_back` or `override`",
        "from_version": "the version before, or null",
        "to_version": "the version that the target moved to",
        "created_at": "epoch ms",
        "actor": "who promoted",
        "reason": "why",
        "verdict_id": "the verdict that permitted it, or null",
        "logical_date": "what the candidate stands for in time, epoch ms, or null",
        "approval_id": "the approval that it rests on, or null",
        "approved_by": "whose approval that is, or null",
        "authenticated": "whether a door knew who the actor is; a claimed name, and a task's, is false",
    },
    "watched": {
        "promotion_id": "the promotion that was looked after",
        "model_name": "the registered model",
        "target": "`@alias` or `stage:Name`",
        "version": "the version that was looked after",
        "outcome": "`hold` while the window is open; `pass`, `reject` or `error`",
        "until": "the end of the window, epoch ms",
        "superseded": "whether something else holds the target by now",
        "verdict_id": "the recorded judgement, or null",
        "rollback": "the rollback that it led to (a promotion), or null",
        "checks": "array of objects, as of a verdict",
    },
    "webhook": {
        "webhook_id": "names the webhook",
        "name": "what people call it",
        "url": "where to, without what may be a secret; `env:NAME` for a variable",
        "form": "`mlflow` or `slack`",
        "topics": "array of topics",
        "model_name": "the registered model whose events it is sent; empty for all",
        "secret_env": "the variable that holds the key of the signatures; empty for none",
        "active": "whether it is sent anything",
        "created_at": "epoch ms",
        "created_by": "who made it",
    },
    "delivery": {
        "webhook": "the webhook's name",
        "event_id": "the event; of a promotion, its id",
        "topic": "what happened",
        "subject": "to what, such as `tumor-screening@champion`",
        "created_at": "when it happened, epoch ms",
        "failures": "tries that failed",
        "error": "why the last one failed",
        "dead_at": "when it was given up, epoch ms",
    },
    "approval": {
        "approval_id": "names the approval",
        "verdict_id": "the verdict it is about",
        "sequence": "counts from 1 per verdict",
        "decision": "`approve`, `reject`, or `timed_out`: nobody answered in time",
        "actor": "who said it",
        "authenticated": "whether the source knew who that is; a claimed name is false",
        "source": "where it was said, such as `cli` or `airflow-hitl`",
        "reason": "why",
        "created_at": "epoch ms",
        "model_name": "the registered model",
        "target": "`@alias` or `stage:Name`",
        "candidate_model_id": "the LoggedModel that would be promoted",
        "candidate_digest": "SHA-256 over its files, or null",
        "gate_digest": "SHA-256 of the gate's definition",
    },
    "verdict": {
        "verdict_id": "`v-` and 32 hexadecimal digits",
        "outcome": "`pass`, `hold`, `reject` or `error`",
        "gate_name": "the gate",
        "gate_digest": "SHA-256 of the gate's definition",
        "gate_definition": "the gate as it was when it decided",
        "model_name": "the registered model",
        "target": "`@alias` or `stage:Name`",
        "candidate_model_id": "the LoggedModel that was judged",
        "candidate_digest": "SHA-256 over its files, or null",
        "candidate_logical_date": "epoch ms, or null",
        "champion_version": "the version that it was compared with, or null",
        "champion_model_id": "its LoggedModel, or null",
        "decided_at": "epoch ms",
        "expires_at": "epoch ms; it permits nothing afterwards",
        "decided_by": "who asked",
        "run_id": "the run that the decision was part of, or null",
        "used_by": "the promotion that it permitted, or null",
        "shadow": "whether it was only watched, and permits nothing",
        "checks": "array of objects: `path`, `kind`, `rule`, `outcome`, `severity`, `metric`, `threshold`, `actual`, "
        "`champion_value`, `dataset_name`, `dataset_digest`, `run_id`, `measured_at`, `message`, `margin`, `owner`, "
        "`reason`",
    },
    "plan": {
        "pipeline": "the pipeline's name",
        "file": "the pipeline file, or null",
        "experiment": "where the runs would go",
        "schedule": "when an orchestrator starts it, in words, or null",
        "parameters": "object of texts; secrets are masked",
        "steps": "array of objects: `name`, `generation`, `needs`, `project`, `version`, `commit`, `entry_point`, "
        "`parameters`, `defaults`, `sweep`, `choose`, `environment`, `timeout` (seconds, or null), `retries`",
        "promotion": "object: `model`, `to`, `candidate`, `gate`, `rules`, `needs`, `evaluate`, `allow_older`, "
        "`on_reject`, `watch`; or null",
        "notes": "array of sentences: what works but deserves a look",
    },
    "pipeline": {
        "pipeline": "the pipeline's name",
        "pipeline_run_id": "names the pipeline run; with it, the run can be resumed",
        "run_id": "the pipeline's own run, the parent of the steps' runs",
        "experiment_id": "a number, as text",
        "status": "`FINISHED`, `FAILED` or `KILLED`",
        "steps": "array of objects: `name`, `status` (also `UPSTREAM_FAILED`), `chosen` (map index of the run that "
        "goes on, or null), `error` (or null), and `runs`: array of objects `map_index` (-1 outside a sweep), "
        "`status`, `run_id`, `artifact_uri`, `metrics`, `params`, `model_ids`, `reused`, `error` (or null)",
        "verdict": "a verdict, or null",
        "promotion": "a promotion, or null",
        "error": "why not all was done that was asked for, as in an error document; or null. A verdict is no error",
    },
    "lineage": {
        "roots": "array of keys: what was asked for, then what stands for the same thing",
        "nodes": "array of objects: `key`, `kind`, `id`, `label`, `attributes`",
        "edges": "array of objects: `source`, `target` (keys of nodes), `kind`",
        "truncated": "whether a limit cut something off",
    },
    "token": {
        "token_id": "names the token",
        "user_name": "who acts with it",
        "role": "`read`, `write`, `promote` or `admin`",
        "created_at": "epoch ms",
        "created_by": "who made it",
        "description": "what it is for",
        "expires_at": "epoch ms, or null",
        "revoked_at": "epoch ms, or null",
    },
    "deployment": {
        "deployment_id": "Prefect's id of it",
        "flow_name": "the flow's name; `flow_name/name` names the deployment",
        "name": "the deployment's name",
        "work_pool": "the work pool whose workers run it",
        "entrypoint": "what a worker loads the flow by",
        "schedules": "array of texts: cron expressions, each with its time zone",
        "triggers": "array of texts: what else starts it",
        "parameters": "object: parameters that differ from the flow's defaults",
    },
    "flow_run": {
        "flow_run_id": "Prefect's id of it, and the pipeline run's id",
        "flow_run_name": "the flow run's name",
        "state": "name of the state that it ended in, such as `Completed` or `Rejected`",
        "state_type": "type of that state: `COMPLETED`, `FAILED`, `CANCELLED` or `CRASHED`",
        "url": "its page in Prefect, or null",
        "pipeline": "name of the pipeline; this and what follows is null after a failure",
        "run_id": "the pipeline's own run",
        "experiment_id": "where the runs are",
        "runs": "object: step → id of the run that it hands on",
        "verdict_id": "the gate's verdict, or null",
        "outcome": "what the gate said: `pass`, `hold` or `reject`; or null",
        "promotion_id": "the promotion, or null",
        "version": "the version that was promoted, or null",
    },
    "error": {
        "type": "the error's class, such as `NotFound`; `UsageError` for the command line itself",
        "message": "what happened, and to which object",
        "remedy": "what to do next; may be empty",
        "exit_code": "what the command ends with",
        "attributes": "object: facts by name, such as `run_id`, `file` and `line`",
    },
}


COMMAND_DOCUMENTS: Mapping[tuple[str, ...], str] = {
    ("run",): "an object: for a project `run` (a run); for a pipeline `pipeline` (a pipeline result)",
    ("plan",): "a plan",
    ("experiments", "list"): "an object: `experiments` (array of experiments) and `next_page_token` (or null)",
    ("runs", "list"): "an object: `runs` (array of runs) and `next_page_token` (or null)",
    ("runs", "show"): "an object: `run` (a run) and `children` (array of run ids nested in it)",
    ("runs", "compare"): "an object: `run_ids`, and `params` and `metrics`: key → run id → value (or null)",
    ("models", "list"): "an object: `registered_models` (array of registered models) and `next_page_token` (or null)",
    ("models", "show"): "an object: `registered_model`, `versions` (array of model versions) and `guards` (array of "
    "guards); for a version `model_version` and `logged_model` (or null); for a LoggedModel `logged_model`",
    ("models", "promote"): "an object: `promotion` and `verdict`",
    ("models", "rollback"): "a promotion",
    ("models", "guard"): "a guard",
    (
        "models",
        "guards",
    ): "an object: `guards` (array of guards); with `--check`, `declared` (how many the file declares)",
    ("models", "unguard"): "an object: `removed` (whether there was a guard)",
    ("models", "stages"): "an object: `stage_rules` (or null)",
    ("models", "override"): "a promotion",
    ("models", "at"): "an object: `at` (epoch ms) and `promotions` (array of the promotions that stood then)",
    ("models", "watch"): "a watched",
    ("webhooks", "create"): "a webhook",
    ("webhooks", "list"): "an object: `webhooks` (array of webhooks, each with `pending`, the events on their way)",
    ("webhooks", "test"): "an object: `success`, `status` (of HTTP, or null) and `error`",
    ("webhooks", "activate"): "a webhook",
    ("webhooks", "delete"): "a webhook",
    ("webhooks", "deliver"): "an object, at the end: how many events were `told`, `failed` and `dead`",
    ("webhooks", "dead"): "an object: `dead` (array of deliveries)",
    ("webhooks", "replay"): "an object: `replayed` (how many events)",
    ("models", "history"): "an object: `promotions` (array of promotions, oldest first)",
    ("gate", "decide"): "a verdict",
    ("gate", "explain"): "a verdict, and its `approvals` (array of approvals, in the order in which they were said)",
    ("gate", "approve"): "an approval",
    ("gate", "reject"): "an approval",
    ("lineage", "show"): "a lineage",
    ("server",): "an object, once it listens: `url`",
    ("prefect", "deploy"): "a deployment",
    ("prefect", "run"): "an object: `flow_run` (a flow run)",
    ("tokens", "create"): "a token, and its `secret`",
    ("tokens", "list"): "an object: `tokens` (array of tokens, revoked ones too)",
    ("tokens", "revoke"): "a token",
    ("db", "upgrade"): "an object: `before` (revision, or null), `after` (revision) and `changed`",
    ("db", "prune"): "an object: `pruned` (how many events)",
    ("db", "status"): "an object: `url` (password masked), `dialect`, `revision` (or null), `head` and `up_to_date`",
    ("reap",): "an object: `run_ids` (array of the runs that were closed)",
}


def experiment_document(experiment: Experiment) -> dict[str, Any]:
    return _chosen("experiment", plain(experiment))


def run_document(run: Run) -> dict[str, Any]:
    """Return a run with its data."""
    inputs = [{**plain(item.dataset), "tags": plain(item.tags)} for item in run.dataset_inputs]
    for item in inputs:
        del item["schema"], item["profile"]  # long, and of no use beside the others
    return _chosen(
        "run",
        {
            **plain(run.info),
            "params": plain(run.params),
            "metrics": {key: plain(metric.value) for key, metric in run.metrics.items()},
            "tags": plain(run.tags),
            "dataset_inputs": inputs,
            "model_inputs": [item.model_id for item in run.model_inputs],
            "model_outputs": [item.model_id for item in run.model_outputs],
        },
    )


def version_document(version: ModelVersion) -> dict[str, Any]:
    return _chosen("model_version", plain(version))


def registered_model_document(model: RegisteredModel) -> dict[str, Any]:
    return _chosen("registered_model", plain(model))


def logged_model_document(model: LoggedModel) -> dict[str, Any]:
    return _chosen("logged_model", {**plain(model), "metrics": [_point_document(each) for each in model.metrics]})


def guard_document(guard: Guard) -> dict[str, Any]:
    return _chosen("guard", plain(guard))


def stage_rules_document(rules: StageRules) -> dict[str, Any]:
    return _chosen("stage_rules", plain(rules))


def webhook_document(webhook: Webhook) -> dict[str, Any]:
    return _chosen("webhook", {**plain(webhook), "url": webhook.shown_url})


def delivery_document(delivery: Delivery, webhook: str) -> dict[str, Any]:
    """Return an event that could not be sent to a webhook."""
    event = {name: getattr(delivery.event, name) for name in ("event_id", "topic", "subject", "created_at")}
    state = {name: getattr(delivery, name) for name in ("failures", "error", "dead_at")}
    return _chosen("delivery", {"webhook": webhook, **event, **state})


def watched_document(found: Watched) -> dict[str, Any]:
    """Return what came of looking after a promotion."""
    promotion = found.promotion
    return _chosen(
        "watched",
        {
            **{name: getattr(promotion, name) for name in ("promotion_id", "model_name", "target")},
            "version": promotion.to_version,
            "outcome": plain(found.outcome),
            "until": found.until,
            "superseded": found.superseded,
            "verdict_id": found.verdict.verdict_id if found.verdict is not None else None,
            "rollback": None if found.rollback is None else promotion_document(found.rollback),
            "checks": plain(found.checks),
        },
    )


def promotion_document(promotion: Promotion) -> dict[str, Any]:
    return _chosen("promotion", plain(promotion))


def approval_document(approval: Approval) -> dict[str, Any]:
    return _chosen("approval", plain(approval))


def verdict_document(verdict: Verdict) -> dict[str, Any]:
    return _chosen("verdict", plain(verdict))


def pipeline_document(result: PipelineResult) -> dict[str, Any]:
    """Return what a pipeline run came to."""
    values = {
        **{name: getattr(result, name) for name in ("pipeline", "pipeline_run_id", "run_id", "experiment_id")},
        "status": plain(result.status),
        "steps": [_step_document(step) for step in result.steps.values()],
        "verdict": None if result.verdict is None else verdict_document(result.verdict),
        "promotion": None if result.promotion is None else promotion_document(result.promotion),
        "error": None if result.error is None else error_document(result.error),
    }
    return _chosen("pipeline", values)


def deployment_document(made: Mapping[str, Any]) -> dict[str, Any]:
    """Return what Prefect's door says of a deployment."""
    return _chosen("deployment", plain(made))


def flow_run_document(ended: Mapping[str, Any]) -> dict[str, Any]:
    """Return what Prefect's door says of a flow run."""
    return _chosen("flow_run", plain(ended))


def error_document(error: HeadgateError) -> dict[str, Any]:
    values = {
        "type": type(error).__name__,
        "message": error.message,
        "remedy": error.remedy,
        "exit_code": error.exit_code,
        "attributes": plain(error.attributes),
    }
    return _chosen("error", values)


def _step_document(step: StepResult) -> dict[str, Any]:
    runs = [
        {**plain(replace(run, error=None)), "error": None if run.error is None else error_document(run.error)}
        for run in step.runs
    ]
    return {
        "name": step.name,
        "status": plain(step.status),
        "chosen": None if step.chosen is None else step.chosen.map_index,
        "error": None if step.error is None else error_document(step.error),
        "runs": runs,
    }


def _point_document(metric: Metric) -> dict[str, Any]:
    point: dict[str, Any] = plain(metric)
    del point["model_id"]
    return point


def _chosen(name: str, values: Mapping[str, Any]) -> dict[str, Any]:
    """Return what is documented of an object, in the order of the documentation."""
    return {key: values[key] for key in DOCUMENTED[name]}
