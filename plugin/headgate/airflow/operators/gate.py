"""``GateOperator``: let a gate decide whether a candidate may hold a target."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar

from headgate.airflow.links import VerdictLink
from headgate.airflow.operators.base import HeadgateOperator
from headgate.airflow.rejection import Rejection

if TYPE_CHECKING:
    from airflow.sdk import Context

    from headgate.store.entities import Verdict
    from headgate.store.store import Store
    from headgate.tasks.gates.model import Gate


class GateOperator(Rejection, HeadgateOperator):
    """Decide by a gate, and record the verdict. Nothing is promoted.

    Returns a reference to the verdict: its id, outcome, candidate, and the reasons of what did not pass. It is the XCom
    however the task ends. A verdict is final: a rejection spends no retry, and a verdict of ``error`` (evidence is
    missing) always fails. A task that is retried or cleared after its DAG run has promoted the candidate answers with
    the verdict by which it did.

    Args:
        gate: the path of a gate file, which starts at the folder of the DAG's file; a mapping; or a gate in Python.
        model_name: the registered model, which need not exist yet.
        candidate: a LoggedModel's id, a ``models:/`` URI, or the output of a task that made or measured one model.
        target: ``@alias`` or ``stage:Name``.
        evaluation_runs: count only what these runs measured: ids, or outputs of tasks; None for everything measured.
        shadow: only watch: the verdict is recorded and permits nothing, and the task ends well whatever it says.
        on_reject: how the task ends when the verdict says reject or hold; see :mod:`headgate.airflow.rejection`.
        on_reject_tasks, on_pass_tasks: ids of tasks or groups that directly follow, with ``on_reject="branch"``; in a
            task group, names in it will do. None for ``on_pass_tasks`` is everything else that follows.
    """

    template_fields: Sequence[str] = (
        *HeadgateOperator.template_fields,
        *("gate", "model_name", "candidate", "target", "evaluation_runs", "on_reject_tasks", "on_pass_tasks"),
    )
    operator_extra_links = (VerdictLink(),)
    template_fields_renderers: ClassVar[dict[str, str]] = {"gate": "json"}

    def __init__(
        self,
        *,
        gate: str | Path | Mapping[str, Any] | Gate,
        model_name: str,
        candidate: str | Mapping[str, Any],
        target: str = "@champion",
        evaluation_runs: str | Mapping[str, Any] | Sequence[str | Mapping[str, Any]] | None = None,
        shadow: bool = False,
        on_reject: str = "fail",
        on_reject_tasks: Sequence[str] | str | None = None,
        on_pass_tasks: Sequence[str] | str | None = None,
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        self.gate = gate
        self.model_name = model_name
        self.candidate = candidate
        self.target = target
        self.evaluation_runs = evaluation_runs
        self.shadow = shadow
        self.on_reject_tasks = on_reject_tasks
        self.on_pass_tasks = on_pass_tasks
        self.say_on_reject(on_reject, on_reject_tasks, on_pass_tasks)
        if shadow:
            self.refuse_plain_outlets("shadow=True", "Give the outlets to a task that follows.")

    def work(self, context: Context) -> dict[str, Any]:
        from headgate.airflow.identity import open_parent_run
        from headgate.airflow.references import verdict_reference
        from headgate.store.entities import Outcome
        from headgate.tasks.handed_on import model_in, run_ids_in
        from headgate.tasks.promote import gate_error

        with self.open_store() as store:
            verdict = decided(
                store,
                context,
                read_gate(context, self.gate),
                self.model_name,
                self.target,
                model_in(self.candidate),
                run_ids_in(self.evaluation_runs),
                open_parent_run(store, context),
                shadow=self.shadow,
            )
        reference = verdict_reference(verdict)
        error = gate_error(verdict)
        if self.shadow and error is not None:
            self.log.warning("In shadow mode: %s", error)
        if error is None or self.shadow:
            return self.accepted(context, reference)
        if verdict.outcome is Outcome.ERROR:
            self.no_answer(context, reference, error)
        return self.rejected(context, reference, error)


def read_gate(context: Context, said: str | Path | Mapping[str, Any] | Gate) -> Gate:
    """Return the gate that an operator names.

    Raises:
        InvalidGate: the file can't be read, or it says something that a gate can't mean.
    """
    from headgate.tasks.gates.file import gate_of

    return gate_of(said, context["dag"].folder)


def decided(
    store: Store,
    context: Context,
    gate: Gate,
    model_name: str,
    target: str,
    candidate: str,
    evaluation_run_ids: Sequence[str] | None,
    parent_run_id: str,
    *,
    shadow: bool = False,
) -> Verdict:
    """Return the verdict by which this DAG run has promoted the candidate already, or let the gate decide."""
    from headgate.airflow.identity import actor_of
    from headgate.tasks.once import decide_once

    return decide_once(
        store,
        gate,
        model_name,
        target,
        candidate,
        evaluation_run_ids=evaluation_run_ids,
        decided_by=actor_of(context),
        run_id=parent_run_id,
        shadow=shadow,
    )
