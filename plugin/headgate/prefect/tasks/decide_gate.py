"""``decide_gate``: let a gate decide whether a candidate may hold a target."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from headgate.prefect.tasks.base import headgate_task
from headgate.store.entities import Verdict

if TYPE_CHECKING:
    from headgate.tasks.gates.model import Gate


@headgate_task(task_run_name="decide-{model_name}")
def decide_gate(
    gate: str | Path | Mapping[str, Any] | Gate,
    *,
    model_name: str,
    candidate: Any,
    target: str = "@champion",
    evaluation_runs: Any = None,
    shadow: bool = False,
    store: str | None = None,
) -> Verdict:
    """Decide by a gate, and record the verdict. Nothing is promoted.

    A verdict that does not pass raises: what is below it in the flow's code does not run, and no retry is spent, as it
    would say the same. A flow run that runs again after it has promoted the candidate gets the verdict by which it did;
    one that decides the same again, the verdict that somebody was or is asked to approve.

    Args:
        gate: the path of a gate file, which starts at the folder of the flow's file; a mapping; or a gate in Python.
        model_name: the registered model, which need not exist yet.
        candidate: a LoggedModel's id, a ``models:/`` URI, or what a task returned that made or measured one model.
        target: ``@alias`` or ``stage:Name``.
        evaluation_runs: count only what these runs measured: ids, or what tasks returned; None for everything measured.
        shadow: only watch: the verdict is recorded and permits nothing, and it is returned whatever it says.
        store: the name of a ``HeadgateStore`` block; see :func:`headgate.prefect.store_access.open_store_of`.

    Returns:
        The passing verdict; in shadow mode, any.

    Raises:
        GateRejected, GateHeld, GateErrored: it does not pass; ``verdict_id`` names it.
        HeadgateError: as :func:`headgate.tasks.decide_promotion`.
    """
    from headgate.prefect.artifacts.publish import show
    from headgate.prefect.artifacts.verdict import publish_verdict
    from headgate.prefect.channel import delivery_claim, tell_rejection
    from headgate.prefect.identity import actor, open_parent_run
    from headgate.prefect.store_access import open_store_of
    from headgate.tasks.approvals import asked_before
    from headgate.tasks.handed_on import model_in, run_ids_in
    from headgate.tasks.once import decide_once
    from headgate.tasks.promote import gate_error

    with open_store_of(store) as opened:
        run_id = open_parent_run(opened)
        decided = decide_once(
            opened,
            read_gate(gate),
            model_name,
            target,
            model_in(candidate),
            run_id=run_id,
            decided_by=actor(),
            evaluation_run_ids=run_ids_in(evaluation_runs),
            shadow=shadow,
            claim=None if shadow else delivery_claim(),
        )
        verdict = decided if shadow else asked_before(opened, decided, run_id=run_id)
        show(lambda: publish_verdict(verdict))
        if shadow:
            return verdict
        tell_rejection(opened, verdict)
    if (error := gate_error(verdict)) is not None:
        raise error
    return verdict


def read_gate(said: str | Path | Mapping[str, Any] | Gate) -> Gate:
    """Return the gate that a task names.

    Raises:
        InvalidGate: the file can't be read, or it says something that a gate can't mean.
    """
    from headgate.prefect.places import flow_folder
    from headgate.tasks.gates.file import gate_of

    return gate_of(said, flow_folder())
