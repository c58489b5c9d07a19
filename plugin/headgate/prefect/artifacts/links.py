"""Addresses of Prefect's pages that are about a record."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

from headgate.prefect.artifacts.publish import artifact_key
from headgate.prefect.identity import ORIGIN

if TYPE_CHECKING:
    from headgate.store.entities import RunContext
    from headgate.store.lineage import Lineage

_NEWER = "/v2"


def pages() -> str | None:
    """Return where Prefect's pages are, without a slash at the end; None where nothing says so.

    Of the two interfaces that a server of its own has, it is the newer one: the other draws no Mermaid.
    """
    from prefect.settings import PREFECT_API_URL, PREFECT_CLOUD_API_URL, PREFECT_UI_URL

    url, api = PREFECT_UI_URL.value(), PREFECT_API_URL.value() or ""
    if not url:
        return None
    base = str(url).rstrip("/")
    return base if api.startswith(PREFECT_CLOUD_API_URL.value()) or base.endswith(_NEWER) else base + _NEWER


def flow_run_page(flow_run_id: str) -> str | None:
    """Return the page of a flow run."""
    base = pages()
    return None if base is None else f"{base}/runs/flow-run/{flow_run_id}"


def artifact_page(key: str) -> str | None:
    """Return the page of an artifact's key, with its history."""
    base = pages()
    return None if base is None else f"{base}/artifacts/key/{key}"


def run_page(context: RunContext) -> str | None:
    """Return the page of the flow run that a run was part of; None when it was part of none of Prefect's."""
    if context.origin != ORIGIN or context.pipeline_run_id is None:
        return None
    return flow_run_page(context.pipeline_run_id)


def promotions_key(model_name: str) -> str:
    """Return the key of a registered model's artifact, whose history is that of its promotions."""
    return artifact_key("model", model_name)


def verdict_key(model_name: str, target: str) -> str:
    """Return the key of the verdicts about who may hold a target."""
    return artifact_key("verdict", model_name, target)


def lineage_key(subject: str) -> str:
    """Return the key of the lineage of something."""
    return artifact_key("lineage", subject)


def lineage_links(lineage: Lineage) -> Mapping[str, str]:
    """Return the pages of a lineage's nodes, by key: flow runs, verdicts, and models with their history."""
    from headgate.store.lineage import NodeKind

    found: dict[str, str | None] = {}
    for node in lineage.nodes:
        facts = node.attributes
        match node.kind:
            case NodeKind.RUN if facts.get("origin") == ORIGIN and facts.get("pipeline_run_id"):
                found[node.key] = flow_run_page(str(facts["pipeline_run_id"]))
            case NodeKind.VERDICT:
                found[node.key] = artifact_page(verdict_key(str(facts["model_name"]), str(facts["target"])))
            case NodeKind.MODEL_VERSION | NodeKind.ALIAS | NodeKind.STAGE:
                found[node.key] = artifact_page(promotions_key(str(facts["name"])))
            case NodeKind.PROMOTION:
                found[node.key] = artifact_page(promotions_key(str(facts["model_name"])))
            case _:
                pass
    return {key: url for key, url in found.items() if url is not None}
