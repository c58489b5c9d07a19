"""Looking after a promotion: the judgement of a watch, recorded as a verdict, and the rollback that may come of it."""

from __future__ import annotations

import hashlib
import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

from headgate.store.clock import iso_date, now_ms
from headgate.store.entities import CheckResult, Outcome, Promotion, PromotionKind, Verdict
from headgate.store.errors import (
    AlreadyExists,
    ChampionChanged,
    GateErrored,
    GateHeld,
    GateRejected,
    HeadgateError,
    InvalidInput,
    InvalidModel,
    NotFound,
)
from headgate.store.targets import parse_target
from headgate.tasks.promote import roll_back
from headgate.tasks.watch.file import load_watch
from headgate.tasks.watch.judge import judge
from headgate.tasks.watch.model import Watch, WhenSilent

if TYPE_CHECKING:
    from headgate.store.deliveries import Claim
    from headgate.store.store import Store

DEFAULT_EVERY_SECONDS = 300.0


@dataclass(frozen=True, slots=True)
class Watched:
    """What came of looking after a promotion.

    Args:
        promotion: that was looked after.
        outcome: ``hold`` while its window is open; ``pass``, ``reject`` or ``error`` are final.
        until: the end of the window, epoch ms.
        checks: what each check found.
        verdict: the recorded judgement; None while it holds, and when the promotion was superseded.
        rollback: that the watch made; None when it made none.
        superseded: something else holds the target by now: there is nothing to look after any more.
    """

    promotion: Promotion
    outcome: Outcome
    until: int
    checks: tuple[CheckResult, ...] = ()
    verdict: Verdict | None = None
    rollback: Promotion | None = None
    superseded: bool = False


def look_after_promotion(
    store: Store,
    watch: Watch | str | Path,
    model_name: str,
    target: str,
    *,
    promotion_id: str | None = None,
    rolls_back: bool = True,
    actor: str,
    run_id: str | None = None,
    claim: Claim | None = None,
    now: int | None = None,
) -> Watched:
    """Look once at what was measured on a promoted model since its promotion, and roll it back if it breaks the watch.

    It may run as often as one likes: a judgement that is final is recorded, and a rollback made, once. What is measured
    after it changes nothing any more.

    Args:
        store: where the promotion and the measurements are.
        watch: a Watch, or the path of a watch file.
        model_name: the registered model.
        target: ``@alias`` or ``stage:Name``.
        promotion_id: the promotion to look after; None takes the last one of the target.
        rolls_back: roll back what breaks the watch; otherwise it is only recorded.
        actor: who looks, for the record.
        run_id: the run that the judgement is part of, for the record.
        claim: who tells the rollback's event into one of the outbox's channels.
        now: UTC epoch ms; None takes the current time.

    Raises:
        InvalidGate: the watch file can't be read.
        InvalidInput: ``promotion_id`` is not one of this target, or leaves nobody there.
        InvalidModel: the version was registered without a LoggedModel: nothing can be measured on it.
        NotFound: nothing was promoted to the target.
    """
    watch = watch if isinstance(watch, Watch) else load_watch(watch)
    target = str(parse_target(target))
    moment = now_ms() if now is None else now
    last = store.promotions.current(model_name, target)
    promotion = last if promotion_id is None else store.promotions.get(promotion_id)
    if promotion is None or last is None:
        raise NotFound(
            f"Nothing was ever promoted to {target} of model {model_name!r}.",
            remedy="Promote a version first; then it can be looked after.",
            kind="promotion",
            key=f"{model_name}{target}",
        )
    _require_of(promotion, model_name, target)
    until = promotion.created_at + watch.window_ms
    holder = store.promotions.holder(model_name, target)
    if last != promotion or holder is None or holder.version != promotion.to_version:
        return _superseded(store, watch, promotion, last, until)
    if holder.model_id is None:
        raise InvalidModel(
            f"Version {holder.version} of {model_name!r} was registered without a LoggedModel: it has no measurements.",
            remedy="Promote a model that was logged with log_model, or with create_external_model.",
        )
    verdict = _recorded(store, watch, promotion)
    if verdict is None:
        points = store.promotions.measured_since(
            holder.model_id, watch.metrics, since=promotion.created_at, until=min(until, moment)
        )
        outcome, checks = judge(watch, points, since=promotion.created_at, now=moment)
        open_ = Watched(promotion, outcome, until, checks)
        if outcome is Outcome.HOLD:
            return open_
        verdict = _record(store, _verdict(store, watch, promotion, holder.model_id, open_, actor, run_id, moment))
    outcome, checks = verdict.outcome, verdict.checks
    found = Watched(promotion, outcome, until, checks, verdict)
    broken = outcome is Outcome.REJECT or (outcome is Outcome.ERROR and watch.when_silent is WhenSilent.ROLL_BACK)
    if not (broken and rolls_back and promotion.from_version is not None):
        return found
    try:
        rollback = roll_back(
            store,
            model_name,
            target,
            actor=actor,
            reason=f"watch {watch.name}: {_why(checks)}",
            from_version=promotion.to_version,
            verdict_id=verdict.verdict_id,
            claim=claim,
            now=moment,
        )
    except ChampionChanged:
        return replace(found, superseded=True)
    return replace(found, verdict=replace(verdict, used_by=rollback.promotion_id), rollback=rollback)


def watch_model(
    store: Store,
    watch: Watch | str | Path,
    model_name: str,
    target: str,
    *,
    promotion_id: str | None = None,
    rolls_back: bool = True,
    actor: str,
    every: float = DEFAULT_EVERY_SECONDS,
    on_look: Callable[[Watched], None] | None = None,
    clock: Callable[[], int] = now_ms,
    sleep: Callable[[float], None] = time.sleep,
) -> Watched:
    """Look after a promotion until its window ends, it breaks the watch, or something else holds the target.

    Arguments and errors are those of :func:`look_after_promotion`; besides:

    Args:
        every: seconds between two looks.
        on_look: called with what each look found.
        clock: epoch ms.
        sleep: waits for so many seconds.
    """
    watch = watch if isinstance(watch, Watch) else load_watch(watch)
    said = promotion_id
    while True:
        found = look_after_promotion(
            store,
            watch,
            model_name,
            target,
            promotion_id=said,
            rolls_back=rolls_back,
            actor=actor,
            now=clock(),
        )
        said = found.promotion.promotion_id
        if on_look is not None:
            on_look(found)
        if found.outcome is not Outcome.HOLD or found.superseded:
            return found
        sleep(max(0.1, min(every, (found.until - clock()) / 1000)))


def watch_error(found: Watched) -> HeadgateError | None:
    """Return the error that a final judgement stands for; None for a model that passed, or was superseded."""
    if found.superseded or found.outcome is Outcome.PASS:
        return None
    promotion = found.promotion
    what = f"version {promotion.to_version} at {promotion.target} of model {promotion.model_name!r}"
    facts = {
        "model_name": promotion.model_name,
        "target": promotion.target,
        "promotion_id": promotion.promotion_id,
        "verdict_id": found.verdict.verdict_id if found.verdict is not None else None,
        "rollback_id": found.rollback.promotion_id if found.rollback is not None else None,
    }
    if found.outcome is Outcome.HOLD:
        return GateHeld(
            f"The watch over {what} is open until {iso_date(found.until)}.", remedy="Look again later.", **facts
        )
    kind = GateRejected if found.outcome is Outcome.REJECT else GateErrored
    verb = "breaks its watch" if found.outcome is Outcome.REJECT else "was watched in vain"
    if found.rollback is not None:
        back = found.rollback.to_version
        return kind(
            f"{what[:1].upper()}{what[1:]} {verb}: {_why(found.checks)} "
            f"{'Nobody' if back is None else f'Version {back}'} holds it again.",
            remedy="Find out what differs in production; then promote a better candidate.",
            **facts,
        )
    return kind(
        f"{what[:1].upper()}{what[1:]} {verb}: {_why(found.checks)} It was not rolled back.",
        remedy="Roll it back (headgate models rollback), or find out what was measured.",
        **facts,
    )


def _require_of(promotion: Promotion, model_name: str, target: str) -> None:
    if (promotion.model_name, promotion.target) != (model_name, target):
        raise InvalidInput(
            f"The promotion {promotion.promotion_id} is of {promotion.model_name} {promotion.target}, not of "
            f"{model_name} {target}.",
            remedy="Name a promotion of this target, or none.",
        )
    if promotion.to_version is None:
        raise InvalidInput(
            f"Since {promotion.promotion_id} nobody holds {target} of {model_name}: there is nothing to look after.",
            remedy="Promote a version first.",
        )


def _superseded(store: Store, watch: Watch, promotion: Promotion, last: Promotion, until: int) -> Watched:
    """Return the answer of before, where this watch has rolled the promotion back; or that it was superseded."""
    if last.kind is PromotionKind.ROLL_BACK and last.verdict_id is not None:
        verdict = store.verdicts.get(last.verdict_id)
        version = store.registry.get_version(promotion.model_name, promotion.to_version or 0)
        if (verdict.gate_digest, verdict.candidate_model_id) == (watch.digest, version.model_id) and (
            last.from_version == promotion.to_version
        ):
            return Watched(promotion, verdict.outcome, until, verdict.checks, verdict, last)
    return Watched(promotion, Outcome.HOLD, until, superseded=True)


def _recorded(store: Store, watch: Watch, promotion: Promotion) -> Verdict | None:
    """Return the final judgement that an earlier look recorded; None when there is none yet."""
    try:
        return store.verdicts.get(_verdict_id(watch, promotion))
    except NotFound:
        return None


def _record(store: Store, verdict: Verdict) -> Verdict:
    """Record a final judgement, or return that of another look which came first."""
    try:
        return store.verdicts.record(verdict)
    except AlreadyExists:
        return store.verdicts.get(verdict.verdict_id)


def _verdict_id(watch: Watch, promotion: Promotion) -> str:
    """Name the final judgement of a watch on a promotion: there is one."""
    named = f"{promotion.promotion_id} {watch.digest}"
    return f"v-{hashlib.sha256(named.encode()).hexdigest()[:32]}"


def _verdict(
    store: Store,
    watch: Watch,
    promotion: Promotion,
    model_id: str,
    found: Watched,
    actor: str,
    run_id: str | None,
    now: int,
) -> Verdict:
    model = store.logged_models.get(model_id)
    return Verdict(
        verdict_id=_verdict_id(watch, promotion),
        gate_name=watch.name,
        gate_digest=watch.digest,
        gate_definition=watch.definition(),
        outcome=found.outcome,
        model_name=promotion.model_name,
        target=promotion.target,
        candidate_model_id=model_id,
        decided_at=now,
        expires_at=now,
        checks=found.checks,
        candidate_digest=model.artifact_digest,
        candidate_logical_date=promotion.logical_date,
        champion_version=promotion.from_version,
        decided_by=actor,
        run_id=run_id,
        workspace=store.workspace,
    )


def _why(checks: tuple[CheckResult, ...]) -> str:
    broken = [check for check in checks if check.outcome in (Outcome.REJECT, Outcome.ERROR)]
    return " ".join(f"[{check.rule}] {check.message}" for check in broken[:3])
