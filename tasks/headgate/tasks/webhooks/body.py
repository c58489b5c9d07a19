"""What the body of a webhook's request says of an event: pure functions, the same bytes for every try.

The form ``mlflow`` is the envelope of MLflow 3 (``entity``, ``action``, ``timestamp``, ``data``). Where MLflow has an
event for what happened (an alias was set or removed), entity and action are its own and ``data`` holds its keys: what
reads MLflow's webhooks reads ours; ``data`` holds more. The form ``slack`` is what Slack's incoming webhooks read, and
those who copy them: ``text``, and the same in ``blocks``.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

from headgate.store.entities import Outcome, Verdict
from headgate.store.outbox import OutboxEvent
from headgate.store.webhooks import WebhookForm

_MAX_SLACK = 2900  # Slack cuts a section at 3,000 characters


def webhook_body(form: WebhookForm, event: OutboxEvent, verdict: Verdict | None) -> bytes:
    """Return the body of the request that tells an event.

    Args:
        form: what it looks like.
        event: from the outbox.
        verdict: by which the promotion happened; None for a person's rollback, an override, and what is no promotion.
    """
    told = _slack(event, verdict) if form is WebhookForm.SLACK else _mlflow(event, verdict)
    return json.dumps(told, ensure_ascii=False, separators=(",", ":"), sort_keys=True, allow_nan=False).encode()


def sentence(event: OutboxEvent) -> str:
    """Return what happened, in one line of plain text."""
    said = event.payload
    name = str(said.get("model_name", event.subject))
    actor = said.get("actor") or "somebody"
    if event.topic == "promotion":
        moved = f"{name} {said['target']}: {_version(said['from_version'])} → {_version(said['to_version'])}"
        verb = {"promote": "promoted", "roll_back": "rolled back", "override": "OVERRODE THE GATE"}[said["kind"]]
        because = f": {said['reason']}" if said.get("reason") else ""
        return f"{moved}, {verb} by {actor}{because}"
    what = {
        "guard.set": f"the gate {said.get('gate_name')!r} guards {said.get('target')} now",
        "guard.removed": f"nothing guards {said.get('target')} any more",
        "stages.set": f"its stages go {' → '.join(said.get('order', ()))} now",
        "stages.removed": "its stages have no order any more",
    }[event.topic]
    return f"{name}: {what}, by {actor}"


def _mlflow(event: OutboxEvent, verdict: Verdict | None) -> dict[str, Any]:
    entity, action, keys = _mlflow_event(event)
    data = {"event_id": event.event_id, "topic": event.topic, "subject": event.subject, **event.payload, **keys}
    if verdict is not None:
        data["verdict"] = _verdict(verdict)
    return {
        "entity": entity,
        "action": action,
        "timestamp": _iso(event.created_at),
        "workspace": event.workspace,
        "data": data,
    }


def _mlflow_event(event: OutboxEvent) -> tuple[str, str, dict[str, Any]]:
    """Return the entity, the action, and the keys that MLflow's own event of this kind has."""
    said = event.payload
    if event.topic != "promotion":
        entity, _, action = event.topic.partition(".")
        return entity, action, {"name": said.get("model_name")}
    version, target = said["to_version"], str(said["target"])
    keys = {"name": said["model_name"], **({} if version is None else {"version": str(version)})}
    if target.startswith("@"):
        return "model_version_alias", "deleted" if version is None else "created", {**keys, "alias": target[1:]}
    return "model_version_stage", "deleted" if version is None else "set", {**keys, "stage": target.partition(":")[2]}


def _verdict(verdict: Verdict) -> dict[str, Any]:
    return {
        "verdict_id": verdict.verdict_id,
        "gate_name": verdict.gate_name,
        "gate_digest": verdict.gate_digest,
        "outcome": str(verdict.outcome),
        "candidate_model_id": verdict.candidate_model_id,
        "candidate_digest": verdict.candidate_digest,
        "decided_at": verdict.decided_at,
        "decided_by": verdict.decided_by,
        "checks": [
            {"path": check.path, "rule": check.rule, "outcome": str(check.outcome), "severity": str(check.severity)}
            | {"message": check.message}
            for check in verdict.checks
        ],
    }


def _slack(event: OutboxEvent, verdict: Verdict | None) -> dict[str, Any]:
    headline = _escaped(sentence(event))
    sections = [f"*{headline}*"]
    if event.payload.get("approved_by"):
        sections.append(f"Approved by {_escaped(str(event.payload['approved_by']))}")
    if verdict is not None:
        marks = {Outcome.PASS: "✓", Outcome.REJECT: "✗", Outcome.HOLD: "…", Outcome.ERROR: "!"}
        lines = [f"Gate {_escaped(verdict.gate_name)}: {verdict.outcome} ({verdict.verdict_id})"]
        lines += [
            f"{marks[check.outcome]} {_escaped(check.rule)}: {_escaped(check.message)}" for check in verdict.checks
        ]
        sections.append("\n".join(lines))
    blocks = [{"type": "section", "text": {"type": "mrkdwn", "text": _cut(section)}} for section in sections]
    return {"text": _cut(headline), "blocks": blocks}


def _escaped(text: str) -> str:
    """Return text that Slack shows as it is: nobody is called by a name in it, and no link is made of it."""
    return text.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")


def _cut(text: str) -> str:
    return text if len(text) <= _MAX_SLACK else f"{text[:_MAX_SLACK]}…"


def _version(version: Any) -> str:
    return "nobody" if version is None else f"version {version}"


def _iso(epoch_ms: int) -> str:
    return datetime.fromtimestamp(epoch_ms / 1000, UTC).isoformat()


def example_event(workspace: str, now: int) -> OutboxEvent:
    """Return a promotion that never was, to try a webhook with."""
    payload: Mapping[str, Any] = {
        "promotion_id": "p-test",
        "model_name": "example-model",
        "target": "@champion",
        "sequence": 2,
        "kind": "promote",
        "from_version": 1,
        "to_version": 2,
        "created_at": now,
        "actor": "headgate webhooks test",
        "reason": "a test of this webhook; nothing was promoted",
        "verdict_id": None,
        "test": True,
    }
    return OutboxEvent(
        f"test-{now}", 0, workspace, "promotion", "example-model@champion", payload, now, "example-model"
    )
