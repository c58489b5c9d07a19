"""The watch that a pipeline names, kept with its run: whoever looks after the promotion later finds it there."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

from headgate.store.errors import InvalidGate, InvalidInput
from headgate.store.validation import MAX_TAG_VALUE_LENGTH
from headgate.tasks.watch.file import watch_from_definition
from headgate.tasks.watch.model import Watch

if TYPE_CHECKING:
    from headgate.store.entities import Promotion
    from headgate.store.store import Store

WATCH_TAG = "headgate.watch"
"""Tag of a pipeline's run: the definition of the watch that looks after what it promotes, as JSON."""


def watch_text(watch: Watch) -> str:
    """Return a watch as a run keeps it.

    Raises:
        InvalidGate: it is too long for that.
    """
    text = json.dumps(watch.definition(), ensure_ascii=False, separators=(",", ":"))
    if len(text) > MAX_TAG_VALUE_LENGTH:
        raise InvalidGate(
            f"The watch {watch.name!r} has {len(text)} characters as JSON, too many to be kept with a run.",
            remedy=f"Write fewer checks: {MAX_TAG_VALUE_LENGTH} characters are kept.",
        )
    return text


def kept_watch(store: Store, model_name: str, target: str, promotion_id: str | None = None) -> Watch:
    """Return the watch of the pipeline that made a promotion.

    Args:
        promotion_id: the promotion; None takes the last one of the target.

    Raises:
        InvalidInput: no pipeline run made it, or its pipeline names no watch.
        NotFound: there is no such promotion.
    """
    current = store.promotions.current(model_name, target)
    promotion = current if promotion_id is None else store.promotions.get(promotion_id)
    text = None if promotion is None else _kept(store, promotion)
    if text is None:
        raise InvalidInput(
            f"No watch is kept with the promotion of {target} of model {model_name!r}.",
            remedy="Give a watch file (--watch), or name one in the pipeline's promote block.",
        )
    return watch_from_definition(json.loads(text))


def _kept(store: Store, promotion: Promotion) -> str | None:
    if promotion.verdict_id is None:
        return None
    run_id = store.verdicts.get(promotion.verdict_id).run_id
    return None if run_id is None else store.runs.get(run_id).tags.get(WATCH_TAG)
