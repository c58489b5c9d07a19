"""Pages that have nothing to show, and say what to do; and pages of errors, which say what happened."""

from __future__ import annotations

from headgate.server.pages.rendering import Page, render
from headgate.server.pages.visit import NotAllowed, Visit
from headgate.store.errors import HeadgateError, InvalidInput, InvalidSettings, NotFound, Transient

_EXAMPLE = """from headgate.airflow import RunProjectOperator

train = RunProjectOperator(
    task_id="train",
    project="project",
    entry_point="train",
)"""


def nothing_recorded(visit: Visit) -> Page:
    """Return the first page of a store without a registered model."""
    return render(
        "empty.html",
        visit,
        heading="No registered models yet",
        sentences=("A model appears here once a run registers or promotes it.",),
        example=_EXAMPLE,
        back=None,
    )


def nothing_here(visit: Visit, what: str, *, back: tuple[str, str] | None = None) -> Page:
    """Return the page of a pipeline, a pipeline run or a task that recorded nothing; it is no error.

    Args:
        what: which has none, such as ``the DAG run …``.
        back: the address of a page that has more, and what it is called.
    """
    return render(
        "empty.html",
        visit,
        heading="No Headgate runs here yet",
        sentences=(f"{what} recorded nothing.", "Add RunProjectOperator, or decorate a function with @task.headgate:"),
        example=_EXAMPLE,
        back=back,
    )


def error_page(visit: Visit, error: HeadgateError) -> Page:
    """Return what happened, and what to do about it."""
    return said(visit, status_of(error), _HEADINGS.get(status_of(error), "This page can't be shown"), str(error))


def said(visit: Visit, status: int, heading: str, *sentences: str) -> Page:
    """Return a page of a few sentences."""
    back = (visit.links.models, "What is in production") if status in (400, 403, 404) else None
    return render("empty.html", visit, status=status, heading=heading, sentences=sentences, example=None, back=back)


def status_of(error: HeadgateError) -> int:
    """Return the status of HTTP that an error is."""
    if isinstance(error, NotAllowed):
        return 403
    if isinstance(error, NotFound):
        return 404
    if isinstance(error, InvalidSettings):
        return 503
    if isinstance(error, InvalidInput):
        return 400
    return 503 if isinstance(error, Transient) else 500


_HEADINGS = {
    400: "This address can't be right",
    403: "You may not read this",
    404: "There is nothing here",
    503: "The store can't be read now",
}
