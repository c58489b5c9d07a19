"""Addresses of the pages, relative to the page that links: they work under any prefix, and within a frame."""

from __future__ import annotations

from dataclasses import dataclass
from urllib.parse import quote, unquote

from headgate.store.entities import RunContext


def segment(text: str) -> str:
    """Return a text as one segment of a path.

    ``/`` and ``%`` are encoded twice: servers decode a path once before they split it, and :func:`text_of` once more.
    """
    return quote(text.replace("%", "%25").replace("/", "%2F"), safe="")


def text_of(segment: str) -> str:
    """Return the text of a segment that a server decoded once."""
    return unquote(segment)


@dataclass(frozen=True, slots=True)
class Links:
    """Where each page is, seen from one of them.

    Args:
        root: the relative address of the first page, ``./`` or some ``../``.
    """

    root: str

    @classmethod
    def seen_from(cls, path: str) -> Links:
        """Return the links for the page at ``path``, which starts with ``/`` below where the pages are mounted."""
        return cls("../" * (path.count("/") - 1) or "./")

    @property
    def models(self) -> str:
        return f"{self.root}models"

    @property
    def promotions(self) -> str:
        return f"{self.root}promotions"

    def static(self, name: str) -> str:
        return f"{self.root}static/{name}"

    def model(self, name: str) -> str:
        return f"{self.root}models/{segment(name)}"

    def version(self, name: str, version: int) -> str:
        return f"{self.model(name)}/versions/{version}"

    def logged_model(self, model_id: str) -> str:
        return f"{self.root}logged-models/{segment(model_id)}"

    def run(self, run_id: str) -> str:
        return f"{self.root}runs/{segment(run_id)}"

    def verdict(self, verdict_id: str) -> str:
        return f"{self.root}verdicts/{segment(verdict_id)}"

    def lineage(self, subject: str) -> str:
        return f"{self.root}lineage?subject={quote(subject, safe='')}"

    def pipeline(self, origin: str, pipeline: str) -> str:
        return f"{self.root}pipelines/{segment(origin)}/{segment(pipeline)}"

    def pipeline_run(self, origin: str, pipeline: str, pipeline_run_id: str) -> str:
        return f"{self.pipeline(origin, pipeline)}/runs/{segment(pipeline_run_id)}"

    def task(self, origin: str, pipeline: str, task: str) -> str:
        return f"{self.pipeline(origin, pipeline)}/tasks/{segment(task)}"

    def work(self, context: RunContext) -> str | None:
        """Return the page of the pipeline run that a run was part of; None when it was part of none."""
        if context.pipeline is None or context.pipeline_run_id is None:
            return None
        return self.pipeline_run(context.origin, context.pipeline, context.pipeline_run_id)
