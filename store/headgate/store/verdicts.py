"""Verdicts with their checks: written once, read often, used by one promotion at most."""

from __future__ import annotations

import math
from collections.abc import Collection, Mapping, Sequence
from dataclasses import fields, replace
from typing import Any

from sqlalchemy import Connection, and_, insert, or_, select, update
from sqlalchemy.exc import IntegrityError

from headgate.store.canonical import digest_of
from headgate.store.database import Database
from headgate.store.deliveries import Claim, write_claim
from headgate.store.entities import DEFAULT_WORKSPACE, CheckResult, Outcome, Page, Severity, Verdict
from headgate.store.errors import AlreadyExists, InvalidInput, NotFound
from headgate.store.id_sets import is_one_of
from headgate.store.model_names import check_registered_model_name
from headgate.store.outbox import announce
from headgate.store.tables import VerdictCheckRow, VerdictRow
from headgate.store.targets import checked_actor, parse_target
from headgate.store.validation import check_text

VERDICT_TOPIC = "verdict"

_VERDICT = VerdictRow.__table__
_CHECK = VerdictCheckRow.__table__
_VERDICT_COLUMNS = tuple(field.name for field in fields(Verdict) if field.name != "checks")
_CHECK_COLUMNS = tuple(field.name for field in fields(CheckResult))
_NUMBERS = ("threshold", "actual", "champion_value", "margin")
_MAX_PAGE = 1000
_MAX_TEXT = 60_000


class Verdicts:
    """The verdicts of a workspace.

    Args:
        database: the store's.
        workspace: the workspace of the registered models that verdicts are about.
    """

    def __init__(self, database: Database, workspace: str = DEFAULT_WORKSPACE) -> None:
        self._database = database
        self._workspace = workspace

    def record(self, verdict: Verdict, *, tells: bool = False, claim: Claim | None = None) -> Verdict:
        """Write a verdict and its checks in one transaction. Writing the same one again changes nothing.

        Args:
            verdict: of this workspace, not used yet.
            tells: write with a verdict that rejects the outbox row by which the outside is told; its id is the
                verdict's. One in shadow mode is told to nobody.
            claim: who tells that event into one of the outbox's channels; None leaves it to whoever claims it.

        Returns:
            The verdict as it stands, which says by which promotion it was used since.

        Raises:
            AlreadyExists: a verdict with this id says something else.
            InvalidInput: it contradicts itself: a digest that is not its definition's, a pass without a sound check, an
                expiry before the decision, another workspace, or names that the registry would not take.
        """
        _require_consistent(verdict, self._workspace)
        return self._database.transact(lambda conn: _record(conn, verdict, tells=tells, claim=claim))

    def get(self, verdict_id: str) -> Verdict:
        """Return a verdict with its checks.

        Raises:
            NotFound: there is none with this id in the workspace.
        """
        with self._database.read() as conn:
            found = find_verdict(conn, self._workspace, verdict_id)
        if found is None:
            raise no_such_verdict(verdict_id)
        return found

    def search(
        self,
        model_name: str | None = None,
        *,
        target: str | None = None,
        candidate_model_id: str | None = None,
        run_id: str | None = None,
        outcome: Outcome | None = None,
        max_results: int = 100,
        page_token: str | None = None,
    ) -> Page[Verdict]:
        """Return verdicts with their checks, the newest first.

        Args:
            model_name: a registered model. One of this, ``candidate_model_id`` and ``run_id`` must be given.
            target: ``@alias`` or ``stage:Name``.
            candidate_model_id: the LoggedModel that was decided about.
            run_id: the run that the decision was part of.
            outcome: only verdicts that say this.
            max_results: 1 to 1000.
            page_token: where the page before ended.

        Raises:
            InvalidInput: nothing to search by, a page size out of range, or a page token that is none.
        """
        if model_name is None and candidate_model_id is None and run_id is None:
            raise InvalidInput(
                "A search of verdicts has nothing to go by.", remedy="Give a model, a candidate's model id or a run id."
            )
        if not 1 <= max_results <= _MAX_PAGE:
            raise InvalidInput(f"max_results is {max_results}.", remedy=f"Ask for 1 to {_MAX_PAGE} verdicts.")
        wanted = {
            "workspace": self._workspace,
            "model_name": model_name,
            "target": str(parse_target(target)) if target is not None else None,
            "candidate_model_id": candidate_model_id,
            "run_id": run_id,
            "outcome": str(outcome) if outcome is not None else None,
        }
        conditions = [_VERDICT.c[name] == value for name, value in wanted.items() if value is not None]
        if page_token is not None:
            conditions.append(_after(page_token))
        statement = select(_VERDICT).where(*conditions)
        newest_first = statement.order_by(_VERDICT.c.decided_at.desc(), _VERDICT.c.verdict_id.desc())
        with self._database.read() as conn:
            found = _with_checks(conn, conn.execute(newest_first.limit(max_results + 1)).mappings().all())
        page, more = found[:max_results], len(found) > max_results
        return Page(page, f"{page[-1].decided_at}:{page[-1].verdict_id}" if more else None)


def no_such_verdict(verdict_id: str) -> NotFound:
    return NotFound(
        f"There is no verdict {verdict_id!r}.",
        remedy="Give the id that headgate gate decide printed.",
        kind="verdict",
        key=verdict_id,
    )


def find_verdict(conn: Connection, workspace: str, verdict_id: str) -> Verdict | None:
    """Return a verdict with its checks within the caller's transaction; None when the workspace has none such."""
    one = select(_VERDICT).where(_VERDICT.c.verdict_id == verdict_id, _VERDICT.c.workspace == workspace)
    return next(iter(_with_checks(conn, conn.execute(one).mappings().all())), None)


def model_of_verdict(conn: Connection, workspace: str, verdict_id: str) -> str | None:
    """Return the registered model that a verdict is about; None when the workspace has no such verdict."""
    one = select(_VERDICT.c.model_name).where(_VERDICT.c.verdict_id == verdict_id, _VERDICT.c.workspace == workspace)
    name: str | None = conn.execute(one).scalar()
    return name


def read_verdicts(
    conn: Connection,
    workspace: str,
    *,
    verdict_ids: Collection[str] | None = None,
    run_ids: Collection[str] | None = None,
    model_ids: Collection[str] | None = None,
    limit: int | None = None,
) -> tuple[Verdict, ...]:
    """Return the verdicts of a workspace with these ids, of these runs or about these models, the newest first.

    Two statements, however many they are; None asks nothing of that kind.
    """
    wanted = {"verdict_id": verdict_ids, "run_id": run_ids, "candidate_model_id": model_ids}
    asked = {name: values for name, values in wanted.items() if values is not None}
    if not all(asked.values()):
        return ()
    conditions = [is_one_of(conn, _VERDICT.c[name], values) for name, values in asked.items()]
    statement = select(_VERDICT).where(_VERDICT.c.workspace == workspace, *conditions)
    newest_first = statement.order_by(_VERDICT.c.decided_at.desc(), _VERDICT.c.verdict_id.desc())
    return _with_checks(conn, conn.execute(newest_first.limit(limit)).mappings().all())


def mark_used(conn: Connection, verdict_id: str, promotion_id: str) -> bool:
    """Say by which promotion a verdict is used, within the caller's transaction; return whether it was still unused."""
    unused = and_(_VERDICT.c.verdict_id == verdict_id, _VERDICT.c.used_by.is_(None))
    return conn.execute(update(_VERDICT).where(unused).values(used_by=promotion_id)).rowcount == 1


def _record(conn: Connection, verdict: Verdict, *, tells: bool, claim: Claim | None) -> Verdict:
    verdict = _as_stored(verdict)
    standing = find_verdict(conn, verdict.workspace, verdict.verdict_id)
    if standing is None:
        row = {name: getattr(verdict, name) for name in _VERDICT_COLUMNS}
        row |= {"gate_definition": dict(verdict.gate_definition)}
        checks = [_check_row(verdict.verdict_id, position, check) for position, check in enumerate(verdict.checks)]
        try:
            with conn.begin_nested():
                conn.execute(insert(_VERDICT).values(**row))
                if checks:
                    conn.execute(insert(_CHECK), checks)
        except IntegrityError:
            # Another writer was faster with this id, in whatever workspace; what it wrote is compared below.
            standing = find_verdict(conn, verdict.workspace, verdict.verdict_id)
        else:
            if tells and verdict.outcome is Outcome.REJECT and not verdict.shadow:
                _announce(conn, verdict, claim)
            return verdict
    if standing is None or replace(standing, used_by=None) != verdict:
        raise AlreadyExists(
            f"There is another verdict {verdict.verdict_id!r}.",
            remedy="Verdicts are never rewritten: record a new one under an id of its own.",
            kind="verdict",
            key=verdict.verdict_id,
        )
    return standing


def _announce(conn: Connection, verdict: Verdict, claim: Claim | None) -> None:
    about = ("verdict_id", "model_name", "target", "candidate_model_id", "gate_name", "run_id", "decided_by")
    payload = {name: getattr(verdict, name) for name in about} | {"outcome": str(verdict.outcome)}
    # A subject of its own: no promotion waits until a rejection was told.
    subject, model_name = f"{VERDICT_TOPIC}:{verdict.model_name}{verdict.target}", verdict.model_name
    event = (verdict.workspace, VERDICT_TOPIC, subject, payload, verdict.decided_at)
    outbox_id = announce(conn, *event, model_name=model_name, event_id=verdict.verdict_id)
    if claim is not None:
        write_claim(conn, outbox_id, verdict.workspace, subject, claim, model_name=model_name)


def _as_stored(verdict: Verdict) -> Verdict:
    """Return a verdict as it would be read back, so that equal ones compare equal."""
    rows = [_check_row(verdict.verdict_id, position, check) for position, check in enumerate(verdict.checks)]
    return replace(verdict, used_by=None, checks=tuple(_check(row) for row in rows))


def _require_consistent(verdict: Verdict, workspace: str) -> None:
    check_registered_model_name(verdict.model_name)
    checked_actor(verdict.decided_by)
    _require_storable(verdict)
    blocking = [check for check in verdict.checks if check.severity is Severity.BLOCK]
    sound = any(check.outcome is Outcome.PASS for check in blocking) and all(
        check.outcome is not Outcome.ERROR for check in blocking
    )
    faults = {
        f"its workspace is {verdict.workspace!r}, the store's is {workspace!r}": verdict.workspace != workspace,
        "its target is not in canonical form": str(parse_target(verdict.target)) != verdict.target,
        "its gate digest is not that of its definition": _digest(verdict) != verdict.gate_digest,
        "it passes without a sound blocking check": verdict.outcome is Outcome.PASS and not sound,
        "it expires before it was decided": verdict.expires_at < verdict.decided_at,
    }
    for fault, found in faults.items():
        if found:
            raise InvalidInput(
                f"The verdict {verdict.verdict_id!r} can't be recorded: {fault}.",
                remedy="Record what decide() returned, unchanged.",
            )


def _require_storable(verdict: Verdict) -> None:
    """Raise InvalidInput for a text that is too long for its column, or holds what no database can."""
    for table, values in ((_VERDICT, verdict), *((_CHECK, check) for check in verdict.checks)):
        for column in table.columns:
            text = getattr(values, column.name, None)
            if isinstance(text, str):
                check_text(f"{column.name} of the verdict", text, getattr(column.type, "length", None) or _MAX_TEXT)


def _digest(verdict: Verdict) -> str | None:
    try:
        return digest_of(dict(verdict.gate_definition))
    except (TypeError, ValueError):  # NaN, or what JSON doesn't have
        return None


def _after(page_token: str) -> Any:
    decided_at, separator, verdict_id = page_token.partition(":")
    if not separator or not decided_at.lstrip("-").isdecimal():
        raise InvalidInput(f"{page_token!r} is no page token.", remedy="Give the next_page_token of the page before.")
    earlier = _VERDICT.c.decided_at < int(decided_at)
    return or_(earlier, and_(_VERDICT.c.decided_at == int(decided_at), _VERDICT.c.verdict_id < verdict_id))


def _with_checks(conn: Connection, rows: Sequence[Mapping[Any, Any]]) -> tuple[Verdict, ...]:
    """Return verdicts with their checks, in two statements however many they are."""
    ids = [row["verdict_id"] for row in rows]
    checks: dict[str, list[CheckResult]] = {verdict_id: [] for verdict_id in ids}
    if ids:
        ordered = select(_CHECK).where(_CHECK.c.verdict_id.in_(ids)).order_by(_CHECK.c.verdict_id, _CHECK.c.position)
        for row in conn.execute(ordered).mappings():
            checks[row["verdict_id"]].append(_check(row))
    return tuple(_verdict(row, tuple(checks[row["verdict_id"]])) for row in rows)


def _verdict(row: Mapping[Any, Any], checks: tuple[CheckResult, ...]) -> Verdict:
    values = {name: row[name] for name in _VERDICT_COLUMNS}
    return Verdict(**{**values, "outcome": Outcome(row["outcome"]), "checks": checks})


def _check_row(verdict_id: str, position: int, check: CheckResult) -> dict[str, Any]:
    values = {name: getattr(check, name) for name in _CHECK_COLUMNS}
    numbers = {name: None if values[name] is None else repr(float(values[name])) for name in _NUMBERS}
    return {**values, **numbers, "verdict_id": verdict_id, "position": position}


def _check(row: Mapping[Any, Any]) -> CheckResult:
    values = {name: row[name] for name in _CHECK_COLUMNS}
    numbers = {name: None if values[name] is None else _number(values[name]) for name in _NUMBERS}
    kinds = {"outcome": Outcome(values["outcome"]), "severity": Severity(values["severity"])}
    return CheckResult(**{**values, **numbers, **kinds})


def _number(text: str) -> float:
    number = float(text)
    return math.nan if math.isnan(number) else number  # one NaN for all, so that equal results compare equal
