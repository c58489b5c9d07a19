"""What a lineage is asked for: texts such as ``models:/churn@champion``, read into the nodes to start from."""

from __future__ import annotations

import re
from collections.abc import Callable

from sqlalchemy import func, select

from headgate.store.errors import InvalidInput, NotFound
from headgate.store.lineage.graph import NodeKind, key_of
from headgate.store.lineage.reading import ALIAS, DATASET, VERSION, Reading, dataset_id, version_id
from headgate.store.lineage.runs import children_of

_STAGES = ("Staging", "Production", "Archived")
_LATEST = "latest"
_LISTED = 5


def roots_of(reading: Reading, subject: str) -> list[str]:
    """Return the keys to start from: what is named, then what stands for the same thing.

    Raises:
        NotFound: there is nothing of this name. (That a key's node exists is for the caller to see.)
        InvalidInput: the text has none of the known forms, or names several datasets.
    """
    text = subject.strip()
    for pattern, roots in _FORMS:
        match = pattern.fullmatch(text)
        if match is not None:
            return roots(reading, *match.groups())
    raise InvalidInput(
        f"{subject!r} names nothing that has a lineage.",
        remedy="Write NAME@alias, NAME/3, NAME/latest or NAME/Production (with or without models:/), a model id (m-…), "
        "a run id, the id of a verdict (v-…) or a promotion (p-…), or a dataset as dataset:NAME, dataset:NAME@digest "
        "or its id (d-…).",
    )


def not_found(subject: str) -> NotFound:
    """Return the error that nothing is recorded under this name."""
    return NotFound(
        f"There is no {subject} in the store.",
        remedy="headgate models list, headgate runs list and headgate experiments list show what there is.",
        kind="lineage",
        key=subject,
    )


def _run(reading: Reading, run_id: str) -> list[str]:
    return [key_of(NodeKind.RUN, each) for each in (run_id, *children_of(reading, [run_id]))]


def _logged_model(_: Reading, model_id: str) -> list[str]:
    return [key_of(NodeKind.LOGGED_MODEL, model_id)]


def _verdict(_: Reading, verdict_id: str) -> list[str]:
    return [key_of(NodeKind.VERDICT, verdict_id)]


def _promotion(_: Reading, promotion_id: str) -> list[str]:
    return [key_of(NodeKind.PROMOTION, promotion_id)]


def _alias(reading: Reading, name: str, alias: str) -> list[str]:
    statement = select(ALIAS.c.version).where(
        ALIAS.c.workspace == reading.workspace, ALIAS.c.name == name, ALIAS.c.alias == alias
    )
    versions = [row["version"] for row in reading.rows(statement)]
    if not versions:
        raise not_found(f"{name}@{alias}")
    return [key_of(NodeKind.ALIAS, f"{name}@{alias}"), *_version(reading, name, str(versions[0]))]


def _version(reading: Reading, name: str, version: str) -> list[str]:
    of_model = select(VERSION.c.version, VERSION.c.model_id).where(
        VERSION.c.workspace == reading.workspace, VERSION.c.name == name
    )
    if version.lower() == _LATEST:
        newest = select(func.max(VERSION.c.version)).where(
            VERSION.c.workspace == reading.workspace, VERSION.c.name == name
        )
        of_model = of_model.where(VERSION.c.version == newest.scalar_subquery())
    else:
        of_model = of_model.where(VERSION.c.version == int(version))
    rows = reading.rows(of_model)
    if not rows:
        raise not_found(f"{name}/{version}")
    keys = [key_of(NodeKind.MODEL_VERSION, version_id(name, rows[0]["version"]))]
    return keys + (_logged_model(reading, rows[0]["model_id"]) if rows[0]["model_id"] else [])


def _stage(reading: Reading, name: str, stage: str) -> list[str]:
    proper = next(each for each in _STAGES if each.lower() == stage.lower())
    statement = (
        select(VERSION.c.version)
        .where(VERSION.c.workspace == reading.workspace, VERSION.c.name == name, VERSION.c.current_stage == proper)
        .order_by(VERSION.c.version.desc())
    )
    versions = reading.rows(statement)
    if not versions:
        raise not_found(f"{name}/{proper}")
    return [key_of(NodeKind.STAGE, f"{name}/{proper}"), *_version(reading, name, str(versions[0]["version"]))]


def _dataset_of_id(reading: Reading, identifier: str) -> list[str]:
    statement = reading.in_workspace(select(DATASET.c.name, DATASET.c.digest), DATASET)
    rows = reading.rows(statement.where(DATASET.c.dataset_id == identifier))
    if not rows:
        raise not_found(identifier)
    return [key_of(NodeKind.DATASET, dataset_id(rows[0]["name"], rows[0]["digest"]))]


def _dataset(reading: Reading, name: str, digest: str | None) -> list[str]:
    statement = reading.in_workspace(select(DATASET.c.name, DATASET.c.digest), DATASET).distinct()
    statement = statement.where(DATASET.c.name == name)
    if digest is not None:
        statement = statement.where(DATASET.c.digest == digest)
    rows = reading.rows(statement.order_by(DATASET.c.digest))
    if not rows:
        raise not_found(f"dataset {name}" + (f"@{digest}" if digest else ""))
    if len(rows) > 1:
        shown = ", ".join(f"dataset:{name}@{row['digest']}" for row in rows[:_LISTED])
        raise InvalidInput(
            f"There are {len(rows)} datasets named {name!r}.",
            remedy=f"Name one by its digest: {shown}{', …' if len(rows) > _LISTED else ''}.",
        )
    return [key_of(NodeKind.DATASET, dataset_id(name, rows[0]["digest"]))]


_FORMS: tuple[tuple[re.Pattern[str], Callable[..., list[str]]], ...] = (
    (re.compile(r"(?:runs:/)?([0-9a-f]{32})"), _run),
    (re.compile(r"(?:models:/)?(m-[0-9a-f]{32})"), _logged_model),
    (re.compile(r"(v-[0-9a-f]{32})"), _verdict),
    (re.compile(r"(p-[0-9a-f]{32})"), _promotion),
    (re.compile(r"(d-[0-9a-f]{32})"), _dataset_of_id),
    (re.compile(r"dataset:(.+?)(?:@([^@]+))?"), _dataset),
    (re.compile(r"(?:models:/)?([^/:]+)@([^@/]+)"), _alias),
    (re.compile(r"(?:models:/)?([^/:]+)/([0-9]{1,9}|latest)", re.IGNORECASE), _version),
    (re.compile(rf"(?:models:/)?([^/:]+)/({'|'.join(_STAGES)})", re.IGNORECASE), _stage),
)
