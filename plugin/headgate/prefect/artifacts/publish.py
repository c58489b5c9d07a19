"""Giving Prefect's server an artifact, and finding the ones that it has."""

from __future__ import annotations

import hashlib
import logging
import re
from collections.abc import Callable
from typing import TYPE_CHECKING
from uuid import UUID

from headgate.prefect.server_api import server_answers
from headgate.store.errors import StoreUnavailable

if TYPE_CHECKING:
    from prefect.client.schemas.objects import Artifact

MARKDOWN = "markdown"

_log = logging.getLogger("prefect.headgate")

_LONGEST_PART = 60
_SHORT_HASH = 8
_NOT_IN_KEYS = re.compile(r"[^a-z0-9]+")


def artifact_key(*parts: str) -> str:
    """Return a key as Prefect takes it: lowercase letters, digits and dashes.

    Different names have different keys: one that loses something on the way gets the head of its digest.
    """
    return "-".join(["headgate", *map(_key_part, parts)])


def publish_markdown(key: str, markdown: str, description: str) -> UUID:
    """Make a Markdown artifact of the task run or the flow run that this is part of; return its id.

    Args:
        key: of :func:`artifact_key`; artifacts of one key are a history.
        markdown: its text.
        description: one line, shown above it.

    Raises:
        StoreUnavailable: Prefect's server did not take it; a retry may help.
    """
    from prefect import runtime
    from prefect.client.orchestration import get_client
    from prefect.client.schemas.actions import ArtifactCreate

    artifact = ArtifactCreate(
        type=MARKDOWN,
        key=key,
        data=markdown,
        description=description,
        flow_run_id=_uuid(runtime.flow_run.id),
        task_run_id=_uuid(runtime.task_run.id),
    )
    with server_answers(f"the artifact {key!r}"), get_client(sync_client=True) as client:
        return client.create_artifact(artifact).id


def show(publish: Callable[[], object]) -> None:
    """Publish what only shows a record. The record stands, and no work is to be done again for want of its picture.

    Args:
        publish: makes the artifact; a server that does not take it leaves a warning in the log.
    """
    try:
        publish()
    except StoreUnavailable as error:
        _log.warning("%s", error)


def newest_artifacts(key: str, limit: int) -> list[Artifact]:
    """Return the artifacts of a key, the newest first.

    Raises:
        StoreUnavailable: Prefect's server did not answer; a retry may help.
    """
    from prefect.client.orchestration import get_client
    from prefect.client.schemas.filters import ArtifactFilter, ArtifactFilterKey
    from prefect.client.schemas.sorting import ArtifactSort

    wanted = ArtifactFilter(key=ArtifactFilterKey(any_=[key]))
    with server_answers(f"the artifact {key!r}"), get_client(sync_client=True) as client:
        return client.read_artifacts(artifact_filter=wanted, sort=ArtifactSort.CREATED_DESC, limit=limit)


def _key_part(text: str) -> str:
    slug = _NOT_IN_KEYS.sub("-", text.lower()).strip("-")
    if slug == text and len(slug) <= _LONGEST_PART:
        return slug
    digest = hashlib.sha256(text.encode()).hexdigest()[:_SHORT_HASH]
    return f"{slug[:_LONGEST_PART]}-{digest}".lstrip("-")


def _uuid(text: str | None) -> UUID | None:
    return None if text is None else UUID(str(text))
