"""``headgate models``: the model registry and its promotions."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import click

from headgate.cli.actor import acting, current_user
from headgate.cli.commands.gate import candidate_uri, print_verdict
from headgate.cli.commands.model_governance import COMMANDS as GOVERNANCE
from headgate.cli.commands.model_pages import model_page, version_page
from headgate.cli.documents import promotion_document, registered_model_document, verdict_document
from headgate.cli.options import json_option, page_options, store_options, target_option
from headgate.cli.output import print_document, print_more, print_table, print_text, utc
from headgate.cli.store_access import open_store

if TYPE_CHECKING:
    from headgate.store.entities import ModelVersion, Promotion, RegisteredModel
    from headgate.tasks.gates.model import Gate


@click.group()
def models() -> None:
    """Registered models: show, promote, roll back, guard, watch."""


for _command in GOVERNANCE:
    models.add_command(_command)


@models.command("list")
@click.option("--filter", "filter_string", default="", help="MLflow's filter language: name LIKE 'tumor%'.")
@page_options(100)
@store_options
@json_option
def list_(
    filter_string: str,
    max_results: int,
    page_token: str | None,
    store_url: str | None,
    artifact_root: str | None,
    as_json: bool,
) -> None:
    """List registered models with their aliases and stages."""
    with open_store(store_url, artifact_root) as store:
        page = store.registry.search_models(filter_string, max_results=max_results, page_token=page_token)
        latest = store.registry.latest_versions_of([model.name for model in page.items])
    if as_json:
        documents = [registered_model_document(model) for model in page.items]
        print_document({"registered_models": documents, "next_page_token": page.next_page_token})
        return
    rows = [_row(model, latest.get(model.name, ())) for model in page.items]
    print_table(("name", "latest", "aliases", "stages", "updated (UTC)"), rows, empty="There are no registered models.")
    print_more(page)


@models.command()
@click.argument("subject", metavar="NAME")
@store_options
@json_option
def show(subject: str, store_url: str | None, artifact_root: str | None, as_json: bool) -> None:
    """Show the model NAME with its versions and guards, or one version (NAME/3, NAME@alias) or LoggedModel (m-…)."""
    name, separator, _ = subject.removeprefix("models:/").partition("@" if "@" in subject else "/")
    with open_store(store_url, artifact_root) as store:
        if separator or name.startswith("m-"):
            uri = f"models:/{subject.removeprefix('models:/')}"
            page = version_page(store, store.registry.resolve_model_uri(uri))
        else:
            page = model_page(store, name)
    page.print(as_json=as_json)


@models.command()
@click.argument("name")
@click.argument("candidate", required=False)
@target_option(said="What it will hold: @alias, or Staging or Production.")
@click.option("--gate", "gate_file", metavar="FILE", help="Decide by this gate first.")
@click.option("--verdict", "verdict_id", metavar="ID", help="Promote by a verdict that stands already, instead.")
@click.option("--reason", default="", help="Why, for the history.")
@click.option(
    "--actor", help="Who promotes, for the history. Default: the user of HEADGATE_TOKEN, or else of this machine."
)
@click.option("--allow-older", is_flag=True, help="Let a candidate of an earlier logical date displace a newer one.")
@click.option("--require-approval", is_flag=True, help="Refuse a verdict that nobody approved (gate approve).")
@store_options
@json_option
def promote(
    name: str,
    candidate: str | None,
    target: str | None,
    gate_file: str | None,
    verdict_id: str | None,
    reason: str,
    actor: str | None,
    allow_older: bool,
    require_approval: bool,
    store_url: str | None,
    artifact_root: str | None,
    as_json: bool,
) -> None:
    """Promote a candidate of the model NAME through its gate.

    Either CANDIDATE with --gate and --target: the gate decides, and the verdict is recorded. Or --verdict with the id
    of one that "gate decide" printed. CANDIDATE is a LoggedModel (m-…), a version (3 or models:/NAME/3) or
    models:/NAME@alias. Ends with 3 when the gate rejects or the promotion is refused, with 4 when the gate holds. A
    verdict that somebody rejected ("gate reject") is refused, with or without --require-approval.
    """
    from headgate.store.tokens import TokenRole
    from headgate.tasks.once import require_about
    from headgate.tasks.promote import decide_promotion
    from headgate.tasks.promote import promote as promote_it

    demanded = _gate_to_ask(candidate, target, gate_file, verdict_id)
    with open_store(store_url, artifact_root) as store:
        who = acting(store, actor, TokenRole.PROMOTE)
        if demanded is not None and candidate is not None and target is not None:
            uri = candidate_uri(candidate, name)
            verdict = decide_promotion(store, demanded, name, target, uri, decided_by=who.name)
        else:
            verdict = require_about(
                store,
                store.verdicts.get(str(verdict_id)),
                model_name=name,
                target=target,
                candidate=None if candidate is None else candidate_uri(candidate, name),
            )
        if not as_json:
            print_verdict(verdict, as_json=False)
        promotion = promote_it(
            store,
            verdict.verdict_id,
            actor=who.name,
            authenticated=who.authenticated,
            reason=reason,
            allow_older=allow_older,
            require_approval=require_approval,
        )
    if as_json:
        print_document({"promotion": promotion_document(promotion), "verdict": verdict_document(verdict)})
    else:
        print_text(
            f"{name} {promotion.target}: version {promotion.to_version} holds it now ({promotion.promotion_id})."
        )


@models.command()
@click.argument("name")
@target_option(required=True, said="What goes back: @alias, or Staging or Production.")
@click.option("--version", type=click.IntRange(1), help="A version that held it before. Default: the one before.")
@click.option("--from-version", type=click.IntRange(1), help="Only when this version holds it: safe to run twice.")
@click.option("--reason", default="", help="Why, for the history.")
@click.option("--actor", help="Who rolls back, for the history. Default: the user of this machine.")
@store_options
@json_option
def rollback(
    name: str,
    target: str,
    version: int | None,
    from_version: int | None,
    reason: str,
    actor: str | None,
    store_url: str | None,
    artifact_root: str | None,
    as_json: bool,
) -> None:
    """Give an alias or a stage of the model NAME back to whoever held it before. No gate is asked."""
    from headgate.tasks.promote import roll_back

    with open_store(store_url, artifact_root) as store:
        promotion = roll_back(
            store,
            name,
            target,
            actor=actor or current_user(),
            reason=reason,
            to_version=version,
            from_version=from_version,
        )
    if as_json:
        print_document(promotion_document(promotion))
        return
    now = f"version {promotion.to_version}" if promotion.to_version is not None else "nobody"
    before = f"version {promotion.from_version}" if promotion.from_version is not None else "nobody"
    print_text(f"{name} {promotion.target}: {now} holds it now, in place of {before} ({promotion.promotion_id}).")


@models.command()
@click.argument("name")
@target_option(said="Only this alias or stage.")
@click.option("--max-results", type=click.IntRange(1), help="Only that many of the latest.")
@store_options
@json_option
def history(
    name: str,
    target: str | None,
    max_results: int | None,
    store_url: str | None,
    artifact_root: str | None,
    as_json: bool,
) -> None:
    """Show every promotion and rollback of the model NAME, oldest first: who, why, when, by what."""
    with open_store(store_url, artifact_root) as store:
        promotions = store.promotions.history(name, target, newest=max_results)
        if not promotions:
            store.registry.get_model(name)  # a name that nobody knows is a mistake, not an empty history
    if as_json:
        print_document({"promotions": [promotion_document(each) for each in promotions]})
        return
    rows = [(*_moved(p), p.actor, p.approved_by, p.verdict_id, p.reason) for p in promotions]
    columns = ("when (UTC)", "target", "kind", "from", "to", "who", "approved by", "verdict", "why")
    print_table(columns, rows, empty=f"Nothing of {name} was promoted yet.")


def _moved(promotion: Promotion) -> tuple[Any, ...]:
    event = promotion
    return (utc(event.created_at), event.target, event.kind, event.from_version, event.to_version)


def _row(model: RegisteredModel, latest: Sequence[ModelVersion]) -> tuple[Any, ...]:
    return (
        model.name,
        max((version.version for version in latest), default=None),
        ", ".join(f"@{alias} → {version}" for alias, version in sorted(model.aliases.items())),
        ", ".join(f"{v.current_stage} → {v.version}" for v in latest if v.current_stage != "None"),
        utc(model.last_updated_timestamp),
    )


def _gate_to_ask(
    candidate: str | None, target: str | None, gate_file: str | None, verdict_id: str | None
) -> Gate | None:
    """Return the gate that has to decide; None when a verdict is given instead.

    Raises:
        click.UsageError: neither way of promoting is said, or both are.
    """
    if verdict_id is not None:
        if gate_file is not None:
            raise click.UsageError("--verdict stands for a decision already: leave --gate out, or --verdict.")
        return None
    if candidate is None or target is None or gate_file is None:
        raise click.UsageError("Give CANDIDATE, --gate and --target, or --verdict.")
    from headgate.tasks.gates.file import load_gate

    return load_gate(gate_file)
