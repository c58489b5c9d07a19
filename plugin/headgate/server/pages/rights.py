"""Whom verdicts and models belong to: the pipelines whose runs made them."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING

from headgate.server.pages.visit import Visit
from headgate.store.entities import LoggedModel, RunContext, RunInfo, Verdict

if TYPE_CHECKING:
    from headgate.store.store import Store

# Of a run that is named and not recorded, nobody knows whose it is: a reader with limits may not read it.
UNKNOWN = RunContext(origin="unknown")


def readable_verdicts(store: Store, visit: Visit, verdicts: Iterable[Verdict]) -> frozenset[str]:
    """Return the ids of the verdicts whose checks may be shown, in two queries.

    A verdict belongs to the run that it was part of, and to the run that made its candidate.
    """
    asked = {each.verdict_id: each for each in verdicts}
    if not asked:
        return frozenset()
    runs, models = store.pipeline_runs.contexts(
        [each.run_id for each in asked.values() if each.run_id], [each.candidate_model_id for each in asked.values()]
    )
    readable = set()
    for verdict in asked.values():
        owners = [models.get(verdict.candidate_model_id, UNKNOWN)]
        if verdict.run_id:
            owners.append(runs.get(verdict.run_id, UNKNOWN))
        if all(owner is None or visit.reader.may_read(owner) for owner in owners):
            readable.add(verdict.verdict_id)
    return frozenset(readable)


def owner_of_run(store: Store, info: RunInfo) -> RunContext:
    """Return the work that a run was part of: its own, or that of the run it is nested in."""
    if info.context.pipeline is not None or info.parent_run_id is None:
        return info.context
    return store.pipeline_runs.contexts([info.run_id], ())[0].get(info.run_id, UNKNOWN)


def readable_runs(store: Store, visit: Visit, infos: Sequence[RunInfo]) -> frozenset[str]:
    """Return the ids of the runs that may be shown."""
    owners, _ = store.pipeline_runs.contexts([info.run_id for info in infos], ()) if infos else ({}, {})
    return frozenset(info.run_id for info in infos if visit.reader.may_read(owners.get(info.run_id, UNKNOWN)))


def readable_models(store: Store, visit: Visit, models: Sequence[LoggedModel]) -> frozenset[str]:
    """Return the ids of the LoggedModels whose data may be shown: those that no run made, too."""
    makers = {each.source_run_id for each in models if each.source_run_id}
    runs, _ = store.pipeline_runs.contexts(makers, ()) if makers else ({}, {})
    return frozenset(
        each.model_id
        for each in models
        if not each.source_run_id or visit.reader.may_read(runs.get(each.source_run_id, UNKNOWN))
    )
