"""``headgate gate``: decide on a candidate, explain a verdict, approve or reject what it permits."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import click

from headgate.cli.actor import acting, current_user
from headgate.cli.documents import approval_document, verdict_document
from headgate.cli.options import json_option, store_options, target_option
from headgate.cli.output import print_document, print_text
from headgate.cli.store_access import open_store

if TYPE_CHECKING:
    from headgate.store.entities import Approval, Verdict
    from headgate.store.store import Store

_SOURCE = "cli"
EXIT_CODES = {"pass": 0, "reject": 3, "error": 3, "hold": 4}


@click.group()
def gate() -> None:
    """Gates: decide on a candidate, explain a verdict, approve or reject it."""


@gate.command()
@click.argument("candidate")
@click.option("--gate", "gate_file", metavar="FILE", default="gate.yaml", show_default=True, help="The gate file.")
@click.option(
    "--model", "model_name", metavar="NAME", required=True, help="The registered model; it need not exist yet."
)
@target_option(required=True, said="What it would hold: @alias, or Staging or Production.")
@click.option(
    "--evaluation-run", "runs", metavar="RUN_ID", multiple=True, help="Count only what these runs measured. Repeatable."
)
@click.option("--shadow", is_flag=True, help="Only watch: the verdict is recorded and permits nothing; ends with 0.")
@click.option("--actor", help="Who asks, for the record. Default: the user of this machine.")
@store_options
@json_option
def decide(
    candidate: str,
    gate_file: str,
    model_name: str,
    target: str,
    runs: tuple[str, ...],
    shadow: bool,
    actor: str | None,
    store_url: str | None,
    artifact_root: str | None,
    as_json: bool,
) -> int:
    """Decide whether CANDIDATE may be promoted, and record the verdict. Nothing is promoted.

    CANDIDATE is a LoggedModel (m-…), a version (3 or models:/NAME/3) or models:/NAME@alias. Ends with 0 for pass, 3 for
    reject and for evidence that is missing or unusable, 4 for hold.
    """
    from headgate.tasks.gates.file import load_gate
    from headgate.tasks.promote import decide_promotion

    demanded = load_gate(gate_file)
    with open_store(store_url, artifact_root) as store:
        verdict = decide_promotion(
            store,
            demanded,
            model_name,
            target,
            candidate_uri(candidate, model_name),
            evaluation_run_ids=runs or None,
            decided_by=actor or current_user(),
            shadow=shadow,
        )
    print_verdict(verdict, as_json=as_json)
    return 0 if shadow else EXIT_CODES[verdict.outcome]


@gate.command()
@click.argument("verdict_id")
@click.option(
    "--format",
    "form",
    type=click.Choice(["text", "markdown", "html", "decision"]),
    default="text",
    show_default=True,
    help="Markdown and HTML are for pages and artifacts; the decision is JSON without when and by whom it was made.",
)
@store_options
@json_option
def explain(verdict_id: str, form: str, store_url: str | None, artifact_root: str | None, as_json: bool) -> None:
    """Show a verdict: every check with its rule, what was demanded, what was measured, where and when.

    What people said of it stands below: who approved or rejected it, whether their name was authenticated, and why.
    """
    from headgate.tasks.gates.explain import decision_json, explain_approvals
    from headgate.tasks.gates.html import verdict_html
    from headgate.tasks.gates.markdown import verdict_markdown

    with open_store(store_url, artifact_root) as store:
        verdict = store.verdicts.get(verdict_id)
        approvals = store.approvals.of_verdict(verdict_id)
    if as_json:
        said = [approval_document(approval) for approval in approvals]
        print_document({**verdict_document(verdict), "approvals": said})
        return
    forms = {"markdown": verdict_markdown, "html": verdict_html, "decision": decision_json}
    if form in forms:
        print_text(forms[form](verdict))
        return
    print_verdict(verdict, as_json=False)
    if approvals:
        print_text("\n".join(explain_approvals(approvals)))


def _answer_options(command: Callable[..., Any]) -> Callable[..., Any]:
    """What "approve" and "reject" take."""
    for decorate in (
        json_option,
        store_options,
        click.option(
            "--actor", help="Who says so, a claimed name. Default: the user of HEADGATE_TOKEN, or of this machine."
        ),
        click.option("--reason", default="", help="Why, for the record."),
        click.argument("verdict_id"),
    ):
        command = decorate(command)
    return command


@gate.command()
@_answer_options
def approve(
    verdict_id: str, reason: str, actor: str | None, store_url: str | None, artifact_root: str | None, as_json: bool
) -> None:
    """Approve the promotion that a passing verdict permits. Nothing is promoted by that alone.

    Refused when the promotion would be refused now: the verdict expired or was used, or the candidate's files, the
    champion or the gate changed since. An approval is for what was decided, and for nothing else. A guard may say whose
    approvals count; with a token in HEADGATE_TOKEN the name is authenticated, without one it is only claimed.
    """
    from headgate.tasks.approvals import approve as approve_it

    with open_store(store_url, artifact_root) as store:
        said = approve_it(store, verdict_id, **_who(store, actor), reason=reason)
    _print_answer(said, as_json=as_json)


@gate.command()
@_answer_options
def reject(
    verdict_id: str, reason: str, actor: str | None, store_url: str | None, artifact_root: str | None, as_json: bool
) -> None:
    """Reject the promotion that a verdict permits: nothing is promoted by it until the same person approves it."""
    from headgate.tasks.approvals import reject as reject_it

    with open_store(store_url, artifact_root) as store:
        said = reject_it(store, verdict_id, **_who(store, actor), reason=reason)
    _print_answer(said, as_json=as_json)


def _who(store: Store, said: str | None) -> dict[str, Any]:
    """Return who answers, as the record has it."""
    from headgate.store.tokens import TokenRole

    who = acting(store, said, TokenRole.PROMOTE)
    return {"actor": who.name, "authenticated": who.authenticated, "source": _SOURCE}


def _print_answer(approval: Approval, *, as_json: bool) -> None:
    from headgate.tasks.gates.explain import explain_approvals

    if as_json:
        print_document(approval_document(approval))
        return
    subject = f"{approval.candidate_model_id} for {approval.model_name} {approval.target}"
    print_text("\n".join([f"Verdict {approval.verdict_id}: {subject}", *explain_approvals([approval])]))


def candidate_uri(candidate: str, model_name: str) -> str:
    """Return a candidate as tasks take it; a bare number is a version of the model."""
    return f"models:/{model_name}/{candidate}" if candidate.isdecimal() else candidate


def print_verdict(verdict: Verdict, *, as_json: bool) -> None:
    """Print a verdict as its JSON document, or in words."""
    from headgate.tasks.gates.explain import explain as in_words

    if as_json:
        print_document(verdict_document(verdict))
    else:
        print_text("\n".join(in_words(verdict)))
