"""What crosses from task to task: small dictionaries of ids and numbers, as XCom carries them.

Models, metrics' histories and files stay in the store; whoever needs them looks them up by these ids.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from headgate.store.entities import Approval, ModelVersion, Promotion, Verdict
    from headgate.store.store import Store
    from headgate.tasks.expectations.results import DataValidation
    from headgate.tasks.run_result import RunResult

# The XCom that holds the reference to the run of a call, beside what the function returned.
REFERENCE_KEY = "headgate_run"

# An XCom stays small, whatever a suite finds; the report has them all.
_MOST_REASONS = 10


def run_reference(result: RunResult, experiment_id: str) -> dict[str, Any]:
    """Return what a task that made a run hands on.

    A metric that is not finite is its name (``NaN``, ``Infinity``, ``-Infinity``): JSON has no such number, and the
    databases below Airflow refuse it.
    """
    from headgate.store.canonical import to_plain

    return {
        "run_id": result.run_id,
        "status": str(result.status),
        "metrics": to_plain(result.metrics),
        "model_ids": list(result.model_ids),
        "artifact_uri": result.artifact_uri,
        "experiment_id": experiment_id,
    }


def verdict_reference(verdict: Verdict) -> dict[str, Any]:
    """Return what a gate hands on.

    ``reasons`` says which blocking checks did not pass, and why; ``warnings`` says the same of those that only warn.
    """
    from headgate.tasks.gates.explain import failures, warnings

    return {
        "verdict_id": verdict.verdict_id,
        "outcome": str(verdict.outcome),
        "model_name": verdict.model_name,
        "target": verdict.target,
        "candidate_model_id": verdict.candidate_model_id,
        "gate": verdict.gate_name,
        "reasons": [f"{check.rule}: {check.message}" for check in failures(verdict)],
        "warnings": [f"{check.rule}: {check.message}" for check in warnings(verdict)],
    }


def approval_reference(verdict: Verdict, approval: Approval) -> dict[str, Any]:
    """Return what an approval hands on: what the verdict does, and who said what of it.

    The ``outcome`` is the verdict's for an approval, and ``reject`` otherwise; ``reasons`` then says why.
    """
    from headgate.store.entities import ApprovalDecision, Outcome

    approved = approval.decision is ApprovalDecision.APPROVE
    said = f"rejected by {approval.actor}" if approval.actor else "not approved"
    because = f": {approval.reason}" if approval.reason else ""
    return {
        **verdict_reference(verdict),
        "outcome": str(verdict.outcome if approved else Outcome.REJECT),
        "reasons": [] if approved else [f"{said}{because}"],
        "approval_id": approval.approval_id,
        "decision": str(approval.decision),
        "approved_by": approval.actor if approved else None,
        "authenticated": approval.authenticated,
        "reason": approval.reason,
    }


def promotion_reference(
    promotion: Promotion, *, model_id: str | None, run_id: str | None, digest: str | None
) -> dict[str, Any]:
    """Return what a promotion or a roll-back hands on.

    Args:
        model_id, run_id: of the LoggedModel that the target stands for now, and of the run that made it.
        digest: of its files.
    """
    return {
        "promotion_id": promotion.promotion_id,
        "model_name": promotion.model_name,
        "target": promotion.target,
        "version": promotion.to_version,
        "model_id": model_id,
        "verdict_id": promotion.verdict_id,
        "run_id": run_id,
        "digest": digest,
    }


def promotion_reference_in(store: Store, promotion: Promotion) -> dict[str, Any]:
    """Return what a promotion or a roll-back hands on, with what the store knows of the model that holds the target."""
    from headgate.store.errors import NotFound

    model_id = run_id = digest = None
    if promotion.to_version is not None:
        try:
            version = store.registry.get_version(promotion.model_name, promotion.to_version)
        except NotFound:  # deleted since: a task that runs again finds its promotion, and not the version
            return promotion_reference(promotion, model_id=None, run_id=None, digest=None)
        model_id, run_id = version.model_id, version.run_id
        known = store.logged_models.get_many([model_id]) if model_id is not None else ()
        digest = known[0].artifact_digest if known else None
    return promotion_reference(promotion, model_id=model_id, run_id=run_id, digest=digest)


def version_reference(version: ModelVersion, digest: str | None) -> dict[str, Any]:
    """Return what a registration hands on; ``digest`` is that of the model's files."""
    return {
        "model_name": version.name,
        "version": version.version,
        "model_id": version.model_id,
        "run_id": version.run_id,
        "digest": digest,
    }


def validation_reference(validation: DataValidation, experiment_id: str) -> dict[str, Any]:
    """Return what a validation hands on; ``reasons`` says which expectations decided against the data, and why."""
    return {
        "run_id": validation.run_id,
        "outcome": str(validation.outcome),
        "suite": validation.suite,
        "dataset": validation.dataset.name,
        "digest": validation.dataset.digest,
        "rows": validation.rows,
        "expectations": len(validation.results),
        "reasons": [f"{failed.rule}: {failed.message}" for failed in validation.failures[:_MOST_REASONS]],
        "artifact_uri": validation.artifact_uri,
        "report": validation.html_path,
        "experiment_id": experiment_id,
    }
