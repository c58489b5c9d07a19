"""Mistakes in a pipeline: collected first, then told together, each with its file, line and remedy."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from difflib import get_close_matches

from headgate.store.errors import InvalidPipeline

_LISTED = 12


@dataclass(frozen=True, slots=True)
class Mistake:
    """One thing that is wrong with a pipeline.

    Args:
        what: what is wrong with which object, one sentence.
        remedy: what to do about it, one sentence; may be empty.
        file: the file it stands in; None when the pipeline was written in Python.
        line: 1-based line in ``file``; None when unknown.
    """

    what: str
    remedy: str = ""
    file: str | None = None
    line: int | None = None

    @property
    def place(self) -> str:
        if self.file is None:
            return ""
        return self.file if self.line is None else f"{self.file}:{self.line}"

    def __str__(self) -> str:
        sentence = f"{self.what} {self.remedy}".rstrip()
        return f"{self.place}: {sentence}" if self.place else sentence


def invalid_pipeline(mistakes: Sequence[Mistake], subject: str) -> InvalidPipeline:
    """Return the error that tells all ``mistakes``, in the order of their lines.

    Args:
        mistakes: at least one.
        subject: the pipeline file, or the pipeline's name; heads the list when there are several.

    Returns:
        An error whose ``file`` and ``line`` are the first mistake's and whose ``mistakes`` holds them all.
    """
    ordered = tuple(dict.fromkeys(sorted(mistakes, key=lambda mistake: (mistake.file or "", mistake.line or 0))))
    first = ordered[0]
    if len(ordered) == 1:
        place = f"{first.place}: " if first.place else f"Pipeline {subject!r}: "
        return InvalidPipeline(
            place + first.what, remedy=first.remedy, file=first.file, line=first.line, mistakes=ordered
        )
    listed = "\n".join(f"  {mistake}" for mistake in ordered)
    return InvalidPipeline(
        f"{subject} has {len(ordered)} mistakes:\n{listed}", file=first.file, line=first.line, mistakes=ordered
    )


def did_you_mean(name: str, known: Iterable[str]) -> str:
    """Return the remedy for an unknown name: the closest known one, or else all of them."""
    candidates = list(known)
    close = get_close_matches(str(name), candidates, n=1, cutoff=0.6)
    if close:
        return f"Did you mean {close[0]!r}?"
    if not candidates:
        return "There are none."
    shown = ", ".join(candidates[:_LISTED])
    return f"Known: {shown}{', …' if len(candidates) > _LISTED else ''}."
