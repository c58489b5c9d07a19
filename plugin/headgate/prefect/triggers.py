"""Triggers for deployments: run when a model was promoted, with its name, version and verdict as parameters.

::

    deploy.serve(triggers=[promoted("churn", alias="champion")])
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from prefect.events import DeploymentEventTrigger

from headgate.prefect.events import (
    LATE_LABEL,
    MODEL_LABEL,
    PROMOTED,
    REJECTED,
    ROLLED_BACK,
    TARGET_LABEL,
    VERSION_LABEL,
    WORKSPACE_LABEL,
)

if TYPE_CHECKING:
    from headgate.store.targets import Target

# What a deployed flow gets, when nothing else is said: parameters of these names.
PROMOTED_PARAMETERS: Mapping[str, str] = {
    "model": "{{ event.payload.model_name }}",
    "version": "{{ event.payload.version }}",
    "verdict_id": "{{ event.payload.verdict_id }}",
}
REJECTED_PARAMETERS: Mapping[str, str] = {
    "model": "{{ event.payload.model_name }}",
    "candidate": "{{ event.payload.candidate_model_id }}",
    "verdict_id": "{{ event.payload.verdict_id }}",
}


def promoted(
    model: str,
    *,
    alias: str | None = None,
    stage: str | None = None,
    rollbacks: bool = True,
    parameters: Mapping[str, Any] | None = None,
    workspace: str = "default",
    name: str | None = None,
    **options: Any,
) -> DeploymentEventTrigger:
    """Return a trigger that runs a deployment when a version of a model came to hold an alias or a stage.

    It fires once per promotion. It does not fire for one that was followed by another before it could be told, nor for
    a rollback that leaves nobody in the place.

    Args:
        model: the registered model.
        alias: such as ``champion``; with neither alias nor stage, any of the model's.
        stage: ``Staging`` or ``Production``.
        rollbacks: also run when an earlier version came to hold it again. Its ``verdict_id`` is None then: nobody
            decided anew, and what is deployed should follow all the same.
        parameters: of the deployed flow, with templates such as ``{{ event.payload.model_uri }}``; None gives ``model``
            (str), ``version`` (int) and ``verdict_id`` (str, or None).
        workspace: that the model belongs to.
        name: of the automation that Prefect makes of it; None names the model and the place.
        **options: of the ``DeploymentEventTrigger``, such as ``job_variables``, ``schedule_after`` or ``enabled``.

    Raises:
        InvalidInput: alias and stage are both given, or a name can't be matched by Prefect.
    """
    target = _target(alias, stage)
    return _trigger(
        name or f"{model} {target or ''} promoted".replace("  ", " "),
        {PROMOTED, ROLLED_BACK} if rollbacks else {PROMOTED},
        {**_about(model, target, workspace), LATE_LABEL: "false", VERSION_LABEL: "*"},
        PROMOTED_PARAMETERS if parameters is None else parameters,
        options,
    )


def rejected(
    model: str,
    *,
    alias: str | None = None,
    stage: str | None = None,
    parameters: Mapping[str, Any] | None = None,
    workspace: str = "default",
    name: str | None = None,
    **options: Any,
) -> DeploymentEventTrigger:
    """Return a trigger that runs a deployment when a gate rejected a candidate; arguments as of :func:`promoted`.

    The flow's parameters, when none are said: ``model``, ``candidate`` (the LoggedModel's id) and ``verdict_id``.

    Raises:
        InvalidInput: as of :func:`promoted`.
    """
    target = _target(alias, stage)
    return _trigger(
        name or f"{model} {target or ''} rejected".replace("  ", " "),
        {REJECTED},
        _about(model, target, workspace),
        REJECTED_PARAMETERS if parameters is None else parameters,
        options,
    )


def _trigger(
    name: str, events: set[str], match: Mapping[str, str], parameters: Mapping[str, Any], options: Mapping[str, Any]
) -> DeploymentEventTrigger:
    said = {"name": name, "expect": events, "match": dict(match), "parameters": dict(parameters), **options}
    return DeploymentEventTrigger.model_validate(said)


def _target(alias: str | None, stage: str | None) -> Target | None:
    from headgate.store.errors import InvalidInput
    from headgate.store.targets import parse_target

    if alias is not None and stage is not None:
        raise InvalidInput(
            f"A trigger waits for the alias {alias!r} or for the stage {stage!r}, not for both.",
            remedy="Say one of them, and give the deployment two triggers.",
        )
    if alias is None and stage is None:
        return None
    return parse_target(f"@{alias.removeprefix('@')}" if alias is not None else f"stage:{stage}")


def _about(model: str, target: Target | None, workspace: str) -> dict[str, str]:
    from headgate.store.errors import InvalidInput

    labels = {MODEL_LABEL: model, WORKSPACE_LABEL: workspace, **({} if target is None else {TARGET_LABEL: str(target)})}
    for label, value in labels.items():
        # Prefect reads these as "anything that starts so" and "anything but".
        if not value or value.endswith("*") or value.startswith("!"):
            raise InvalidInput(
                f"A trigger can't wait for {label} {value!r}.",
                remedy="Give a name that is not empty, does not end with * and does not start with !.",
            )
    return labels
