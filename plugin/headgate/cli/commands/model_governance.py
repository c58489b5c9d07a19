"""``headgate models``: who guards what, what stood when, and what moves a guarded target without its gate."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from headgate.cli.actor import acting
from headgate.cli.documents import (
    guard_document,
    promotion_document,
    stage_rules_document,
    watched_document,
)
from headgate.cli.options import Instant, Seconds, json_option, store_options, target_option
from headgate.cli.output import print_document, print_facts, print_note, print_table, print_text, utc
from headgate.cli.store_access import open_store

if TYPE_CHECKING:
    from headgate.store.entities import Guard
    from headgate.tasks.watch.look import Watched

WATCH_EXIT_CODES = {"pass": 0, "reject": 3, "error": 3, "hold": 4}
_ACTOR = "Who does it, for the record. Default: the user of HEADGATE_TOKEN, or else of this machine."


@click.command()
@click.argument("name")
@target_option(required=True, said="What is guarded: @alias, or Staging or Production.")
@click.option("--gate", "gate_file", metavar="FILE", help="The gate. Default: the one that guards it.")
@click.option("--approver", "approvers", metavar="WHO", multiple=True, help="Whose approval counts. Repeatable.")
@click.option("--quorum", type=click.IntRange(0), help="How many people have to approve. Default: 1 with approvers.")
@click.option(
    "--authenticated/--claimed", default=None, help="Whether only names count that a token or a door has proved."
)
@click.option("--overrider", "overriders", metavar="WHO", multiple=True, help="Who may override. Repeatable.")
@click.option("--actor", help=_ACTOR)
@store_options
@json_option
def guard(
    name: str,
    target: str,
    gate_file: str | None,
    approvers: tuple[str, ...],
    quorum: int | None,
    authenticated: bool | None,
    overriders: tuple[str, ...],
    actor: str | None,
    store_url: str | None,
    artifact_root: str | None,
    as_json: bool,
) -> None:
    """Guard an alias or a stage of the model NAME with a gate, and say whose approvals it takes.

    From then on nothing else moves it: no client, no other command. What is not said stays as it is. Once a guard names
    overriders, only they change or remove it.
    """
    from headgate.store.clock import now_ms
    from headgate.store.tokens import TokenRole
    from headgate.tasks.gates.file import load_gate

    with open_store(store_url, artifact_root) as store:
        who = acting(store, actor, TokenRole.PROMOTE)
        standing = store.gates.get(name, target)
        if gate_file is not None:
            definition = load_gate(gate_file).definition()
        elif standing is not None:
            definition = dict(standing.gate_definition)
        else:
            raise click.UsageError(f"Nothing guards {target} of {name} yet: give --gate.")
        made = store.gates.set(
            name,
            target,
            definition,
            approvers=approvers or None,
            quorum=quorum,
            authenticated=authenticated,
            overriders=overriders or None,
            now=now_ms(),
            actor=who.name,
            actor_authenticated=who.authenticated,
        )
    _print_guard(made, as_json=as_json)


@click.command()
@click.argument("file", metavar="FILE")
@click.option("--check", is_flag=True, help="Only read the file and say what is wrong with it.")
@click.option("--actor", help=_ACTOR)
@store_options
@json_option
def guards(
    file: str, check: bool, actor: str | None, store_url: str | None, artifact_root: str | None, as_json: bool
) -> None:
    """Let the guards that FILE declares stand, all of them or none; other targets keep theirs.

    The file is the whole of what guards its targets: what it does not say of approvers and overriders is nobody. Once a
    guard names overriders, only they change it.
    """
    from headgate.store.tokens import TokenRole
    from headgate.tasks.guards import load_guards, set_guards

    terms = load_guards(file)
    if check:
        if as_json:
            print_document({"declared": len(terms)})
        else:
            print_note(f"{file} declares {len(terms)} guards, and nothing is wrong with them.")
        return
    with open_store(store_url, artifact_root) as store:
        who = acting(store, actor, TokenRole.PROMOTE)
        made = set_guards(store, terms, actor=who.name, actor_authenticated=who.authenticated)
    if as_json:
        print_document({"guards": [guard_document(each) for each in made]})
        return
    rows = [
        (
            g.model_name,
            g.target,
            g.gate_name,
            g.quorum,
            ", ".join(g.approvers),
            g.authenticated,
            ", ".join(g.overriders),
        )
        for g in made
    ]
    columns = ("model", "target", "gate", "approvals", "approvers", "authenticated", "overriders")
    print_table(columns, rows, empty=f"{file} declares no guards.")


@click.command()
@click.argument("name")
@target_option(required=True, said="What is no longer guarded: @alias, or Staging or Production.")
@click.option("--actor", help=_ACTOR)
@store_options
@json_option
def unguard(
    name: str, target: str, actor: str | None, store_url: str | None, artifact_root: str | None, as_json: bool
) -> None:
    """Take the guard off an alias or a stage of the model NAME, on the record."""
    from headgate.store.clock import now_ms
    from headgate.store.tokens import TokenRole

    with open_store(store_url, artifact_root) as store:
        who = acting(store, actor, TokenRole.PROMOTE)
        removed = store.gates.remove(name, target, now=now_ms(), actor=who.name, actor_authenticated=who.authenticated)
    if as_json:
        print_document({"removed": removed})
    else:
        print_note(
            f"Nothing guards {target} of {name} any more." if removed else f"Nothing guarded {target} of {name}."
        )


@click.command()
@click.argument("name")
@click.option("--order", metavar="STAGES", help="The order of the stages: None,Staging,Production,Archived.")
@click.option("--single", metavar="STAGES", help="Stages that hold one version at a time. Default: Production.")
@click.option("--free", is_flag=True, help="Take the rules away: the stages are as free as in MLflow.")
@click.option("--actor", help=_ACTOR)
@store_options
@json_option
def stages(
    name: str,
    order: str | None,
    single: str | None,
    free: bool,
    actor: str | None,
    store_url: str | None,
    artifact_root: str | None,
    as_json: bool,
) -> None:
    """Show the stage rules of the model NAME, or set them: versions go forward one stage at a time, and never jump."""
    from headgate.store.clock import now_ms
    from headgate.store.stage_rules import DEFAULT_ORDER
    from headgate.store.tokens import TokenRole

    if free and (order is not None or single is not None):
        raise click.UsageError("--free takes the rules away: leave --order and --single out.")
    with open_store(store_url, artifact_root) as store:
        who = acting(store, actor, TokenRole.PROMOTE)
        if free:
            store.stages.remove(name, now=now_ms(), actor=who.name)
        elif order is not None or single is not None:
            store.stages.set(
                name,
                order=_listed(order) if order is not None else DEFAULT_ORDER,
                single=_listed(single) if single is not None else None,
                now=now_ms(),
                actor=who.name,
            )
        store.registry.get_model(name)
        rules = store.stages.get(name)
    if as_json:
        print_document({"stage_rules": None if rules is None else stage_rules_document(rules)})
    elif rules is None:
        print_note(f"The stages of {name} have no rules.")
    else:
        print_facts({"order": " → ".join(rules.order), "one version in": ", ".join(rules.single)})


@click.command()
@click.argument("name")
@click.argument("version", type=click.IntRange(1))
@target_option(required=True, said="What it will hold: @alias, or Staging or Production.")
@click.option("--reason", required=True, help="Why, for the history.")
@click.option("--from-version", type=click.IntRange(1), help="Only when this version holds it: safe to run twice.")
@click.option("--actor", help=_ACTOR)
@store_options
@json_option
def override(
    name: str,
    version: int,
    target: str,
    reason: str,
    from_version: int | None,
    actor: str | None,
    store_url: str | None,
    artifact_root: str | None,
    as_json: bool,
) -> None:
    """Let VERSION of the model NAME hold a guarded alias or stage without its gate: for emergencies, on the record.

    The guard has to name whoever does it (models guard --overrider). With HEADGATE_TOKEN the token's role has to be
    override or admin.
    """
    from headgate.store.tokens import TokenRole
    from headgate.tasks.promote import override as override_it

    with open_store(store_url, artifact_root) as store:
        who = acting(store, actor, TokenRole.OVERRIDE)
        event = override_it(
            store,
            name,
            target,
            version,
            actor=who.name,
            authenticated=who.authenticated,
            reason=reason,
            from_version=from_version,
        )
    if as_json:
        print_document(promotion_document(event))
    else:
        print_text(f"{name} {event.target}: version {event.to_version} holds it now ({event.promotion_id}).")


@click.command("at")
@click.argument("name")
@click.option("--on", "when", type=Instant(), required=True, metavar="TIME", help="An ISO 8601 date or time, in UTC.")
@target_option(said="Only this alias or stage.")
@store_options
@json_option
def at_(
    name: str, when: int, target: str | None, store_url: str | None, artifact_root: str | None, as_json: bool
) -> None:
    """Show what held the aliases and stages of the model NAME at a time: what was in production then, and why."""
    with open_store(store_url, artifact_root) as store:
        if target is None:
            events = store.promotions.all_at(name, when)
        else:
            event = store.promotions.at(name, target, when)
            events = () if event is None else (event,)
        if not events and not store.promotions.history(name, newest=1):
            store.registry.get_model(name)  # a name that nobody knows is a mistake, not an empty answer
    if as_json:
        print_document({"at": when, "promotions": [promotion_document(each) for each in events]})
        return
    rows = [(e.target, e.to_version, utc(e.created_at), e.kind, e.actor, e.verdict_id, e.reason) for e in events]
    columns = ("target", "version", "since (UTC)", "kind", "who", "verdict", "why")
    print_table(columns, rows, empty=f"Nothing of {name} was promoted by then.")


@click.command()
@click.argument("name")
@target_option(required=True, said="What is watched: @alias, or Staging or Production.")
@click.option(
    "--watch", "watch_file", metavar="FILE", help="The watch file. Default: what the pipeline that promoted named."
)
@click.option("--promotion", "promotion_id", metavar="ID", help="The promotion to look after. Default: the last one.")
@click.option("--every", type=Seconds(), default=300.0, metavar="DURATION", help="Time between looks. Default: 5m.")
@click.option("--once", is_flag=True, help="Look once; end with 4 while the window is open.")
@click.option("--no-rollback", is_flag=True, help="Only record what is found.")
@click.option("--actor", help=_ACTOR)
@store_options
@json_option
def watch(
    name: str,
    target: str,
    watch_file: str | None,
    promotion_id: str | None,
    every: float,
    once: bool,
    no_rollback: bool,
    actor: str | None,
    store_url: str | None,
    artifact_root: str | None,
    as_json: bool,
) -> int:
    """Look after a promotion of the model NAME: roll it back when what is measured afterwards breaks the watch.

    Ends with 0 when the window ended well or something else holds the target, 3 when the watch was broken or nothing
    was measured, 4 (with --once) while the window is open.
    """
    from headgate.store.tokens import TokenRole
    from headgate.tasks.watch.file import load_watch
    from headgate.tasks.watch.kept import kept_watch
    from headgate.tasks.watch.look import look_after_promotion, watch_model

    said = None if watch_file is None else load_watch(watch_file)
    with open_store(store_url, artifact_root) as store:
        who = acting(store, actor, TokenRole.PROMOTE).name
        demanded = said or kept_watch(store, name, target, promotion_id)
        if once:
            found = look_after_promotion(
                store, demanded, name, target, promotion_id=promotion_id, rolls_back=not no_rollback, actor=who
            )
        else:
            found = watch_model(
                store,
                demanded,
                name,
                target,
                promotion_id=promotion_id,
                rolls_back=not no_rollback,
                actor=who,
                every=every,
                on_look=lambda look: print_note(f"{look.outcome} until {utc(look.until)}"),
            )
    _print_watched(found, as_json=as_json)
    return 0 if found.superseded else WATCH_EXIT_CODES[found.outcome]


def _print_watched(found: Watched, *, as_json: bool) -> None:
    if as_json:
        print_document(watched_document(found))
        return
    promotion = found.promotion
    what = f"{promotion.model_name} {promotion.target} version {promotion.to_version}"
    if found.superseded:
        print_text(f"{what}: something else holds it now; nothing is to look after.")
        return
    print_text(f"{what}: {found.outcome}, window until {utc(found.until)} UTC")
    for check in found.checks:
        print_text(f"  {check.outcome}  {check.rule}  {check.message}")
    if found.rollback is not None:
        back = found.rollback.to_version
        print_text(f"Rolled back to {'nobody' if back is None else f'version {back}'} ({found.rollback.promotion_id}).")
    elif found.outcome in ("reject", "error"):
        by_hand = f"headgate models rollback {promotion.model_name} --to {promotion.target}"
        print_text(f"It was not rolled back. By hand: {by_hand}")


def _print_guard(made: Guard, *, as_json: bool) -> None:
    if as_json:
        print_document(guard_document(made))
        return
    print_facts(
        {
            "model": made.model_name,
            "target": made.target,
            "gate": made.gate_name,
            "approvals": made.quorum,
            "approvers": ", ".join(made.approvers) or ("anybody" if made.quorum else ""),
            "authenticated": made.authenticated,
            "overriders": ", ".join(made.overriders),
            "since (UTC)": utc(made.updated_at),
            "by": made.updated_by,
        }
    )


def _listed(text: str) -> tuple[str, ...]:
    return tuple(word.strip() for word in text.split(",") if word.strip())


COMMANDS = (guard, guards, unguard, stages, override, at_, watch)
