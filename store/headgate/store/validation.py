"""What may be written: names, lengths and ranges, as MLflow has them (its ``utils/validation.py``).

Long param and tag values are cut to their limit, as MLflow does by default; every other excess is an error. How many
metrics, params and tags one request may carry is the wire API's to limit, not the store's.
"""

from __future__ import annotations

import posixpath
import re
from collections.abc import Iterable, Mapping
from functools import lru_cache

from headgate.store.entities import Param, RunStatus, Tag
from headgate.store.errors import InvalidInput

MAX_KEY_LENGTH = 250
MAX_PARAM_VALUE_LENGTH = 6000
MAX_TAG_VALUE_LENGTH = 8000
MAX_EXPERIMENT_NAME_LENGTH = 500
MAX_ARTIFACT_LOCATION_LENGTH = 2048
MAX_EXPERIMENT_TAG_VALUE_LENGTH = 20_000
MAX_RUN_NAME_LENGTH = 250
MAX_DATASET_NAME_LENGTH = 500
MAX_DATASET_DIGEST_LENGTH = 128
MAX_DATASET_SOURCE_LENGTH = 65_535
MAX_DATASET_SCHEMA_LENGTH = 1_048_575
MAX_DATASET_PROFILE_LENGTH = 16_777_215
MAX_INPUT_TAG_VALUE_LENGTH = 500
MAX_USER_LENGTH = 256
MAX_INT64 = 2**63 - 1
MIN_INT64 = -(2**63)

# Tags that are also attributes of their run.
RUN_NAME_TAG = "mlflow.runName"
USER_TAG = "mlflow.user"
PARENT_RUN_TAG = "mlflow.parentRunId"

# Tags by which whoever starts a run says what its figures are worth to a gate; the code of a run can't set them.
EVALUATION_KEY_TAG = "headgate.evaluation.key"  # of an entry point that measures a model
EVALUATOR_KEY_TAG = "headgate.evaluator_key"  # of a built-in evaluator
VALIDATION_TAG = "headgate.validation"  # what a validation of data found: pass, reject or error
EVALUATION_TAGS = (EVALUATION_KEY_TAG, EVALUATOR_KEY_TAG)
EVIDENCE_TAGS = frozenset({*EVALUATION_TAGS, VALIDATION_TAG})

_KEY = re.compile(r"[/\w.\- :]*")
_RUN_ID = re.compile(r"[a-zA-Z0-9][\w\-]{0,35}")
_KEY_REMEDY = "Use letters, digits, underscores, dashes, periods, spaces, colons and slashes."


def check_key(kind: str, key: str) -> str:
    """Return the key of a metric, param or tag (``kind``) when it is a valid one.

    Raises:
        InvalidInput: it is not text, is too long, has other characters than MLflow allows, or would be another name
            if it were a path (``a//b``, ``../a``, ``/a``, ``.``).
    """
    fault = _key_fault(key) if isinstance(key, str) else "it is not text"
    if fault is not None:
        raise InvalidInput(f"{shorten(key)} can't be the name of a {kind}: {fault}.", remedy=_KEY_REMEDY, key=key)
    return key


@lru_cache(maxsize=8192)
def _key_fault(key: str) -> str | None:
    if len(key) > MAX_KEY_LENGTH:
        return f"it has {len(key)} characters, and {MAX_KEY_LENGTH} is the most"
    if not _KEY.fullmatch(key):
        return "it has characters that are not allowed"
    normal = posixpath.normpath(key)
    if normal != key or normal == "." or normal.startswith(("..", "/")):
        return f"as a path it would be {normal!r}"
    return None


def check_text(what: str, value: str, limit: int, *, truncate: bool = False) -> str:
    """Return ``value`` when every database can hold it; cut to ``limit`` characters where that is allowed.

    Raises:
        InvalidInput: it is not text, is too long, or holds what no database can (NUL, half a surrogate pair).
    """
    if not isinstance(value, str):
        raise InvalidInput(f"The {what} is {shorten(value)}, not text.", remedy="Convert it with str() first.")
    if len(value) > limit:
        if not truncate:
            raise InvalidInput(
                f"The {what} has {len(value)} characters, and {limit} is the most.", remedy="Shorten it."
            )
        value = value[:limit]
    if not value.isascii() or "\0" in value:
        _check_encodable(what, value)
    return value


def _check_encodable(what: str, value: str) -> None:
    try:
        storable = b"\0" not in value.encode()
    except UnicodeEncodeError:
        storable = False
    if not storable:
        raise InvalidInput(
            f"The {what} holds characters that a database can't store: {shorten(value)}.",
            remedy="Remove NUL characters and lone surrogates, or encode the bytes (base64, for one).",
        )


def check_params(params: Mapping[str, str] | Iterable[Param]) -> dict[str, str]:
    """Return valid params as key → value, long values cut to MLflow's 6,000 characters.

    Raises:
        InvalidInput: a name or value is not valid, or a key stands there twice.
    """
    checked: dict[str, str] = {}
    for key, value in _pairs(params):
        if key in checked:
            raise InvalidInput(f"The param {key!r} stands twice in one request.", remedy="Send one value per param.")
        check_key("param", key)
        checked[key] = check_text(f"value of param {key!r}", value, MAX_PARAM_VALUE_LENGTH, truncate=True)
    return checked


def check_tags(tags: Mapping[str, str] | Iterable[Tag]) -> dict[str, str]:
    """Return valid tags as key → value, long values cut to MLflow's 8,000 characters; the last of two wins.

    Raises:
        InvalidInput: a name or value is not valid.
    """
    checked: dict[str, str] = {}
    for key, value in _pairs(tags):
        check_key("tag", key)
        checked[key] = check_text(f"value of tag {key!r}", value, MAX_TAG_VALUE_LENGTH, truncate=True)
    check_text("name of the run", checked.get(RUN_NAME_TAG, ""), MAX_RUN_NAME_LENGTH)
    check_text("user of the run", checked.get(USER_TAG, ""), MAX_USER_LENGTH)
    return checked


def _pairs(items: Mapping[str, str] | Iterable[Param] | Iterable[Tag]) -> Iterable[tuple[str, str]]:
    if isinstance(items, Mapping):
        return items.items()
    return ((item.key, item.value) for item in items)


def check_experiment_name(name: str) -> str:
    """Return the name of an experiment when it is a valid one.

    Raises:
        InvalidInput: it is empty or longer than 500 characters.
    """
    if not name:
        raise InvalidInput("An experiment needs a name.", remedy="Name it, such as 'tumor-screening'.")
    return check_text("name of the experiment", name, MAX_EXPERIMENT_NAME_LENGTH)


def check_run_id(run_id: str) -> str:
    """Return a run id that a caller chose when it is a valid one.

    Raises:
        InvalidInput: it is not 1 to 36 letters, digits, underscores and dashes.
    """
    if not isinstance(run_id, str) or not _RUN_ID.fullmatch(run_id):
        raise InvalidInput(
            f"{shorten(run_id)} can't be a run id.", remedy="Use up to 36 letters, digits, underscores and dashes."
        )
    return run_id


def parse_experiment_id(experiment_id: str | int) -> int:
    """Return the number in an experiment id.

    Raises:
        InvalidInput: it is not a number that an experiment can have.
    """
    try:
        number = int(experiment_id)
    except (TypeError, ValueError):
        number = -1
    if not 0 <= number <= MAX_INT64:
        raise InvalidInput(
            f"{shorten(experiment_id)} is not an experiment id.",
            remedy="An experiment id is a number, such as '0'; look experiments up by name otherwise.",
        )
    return number


def check_status(status: RunStatus | str) -> RunStatus:
    """Return the status of a run.

    Raises:
        InvalidInput: MLflow has no such status.
    """
    try:
        return RunStatus(status)
    except ValueError as error:
        raise InvalidInput(
            f"{shorten(status)} is not the status of a run.", remedy=f"Use one of {', '.join(RunStatus)}."
        ) from error


def check_timestamp(what: str, value: int) -> int:
    """Return a time in epoch milliseconds when it is one.

    Raises:
        InvalidInput: it is negative, is not a whole number, or does not fit 64 bits.
    """
    if isinstance(value, bool) or not isinstance(value, int) or not 0 <= value <= MAX_INT64:
        raise InvalidInput(
            f"The {what} is {shorten(value)}, not a time.", remedy="Give milliseconds since 1970 (UTC), 0 or more."
        )
    return value


def shorten(value: object) -> str:
    """Return a value as an error message shows it: at most 80 characters of its ``repr``."""
    text = repr(value)
    return text if len(text) <= 80 else f"{text[:77]}..."
