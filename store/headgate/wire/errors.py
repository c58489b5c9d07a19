"""Headgate's errors in MLflow's words: an HTTP status, an error code and a message.

A status of 408, 429 or 5xx makes MLflow's client try again for minutes, so only what a retry can mend gets one.
"""

from __future__ import annotations

import errno
import json
from collections.abc import Mapping

from headgate.store.errors import (
    AlreadyExists,
    ArtifactStoreUnavailable,
    HeadgateError,
    InvalidInput,
    InvalidSettings,
    ModelPromoted,
    NotFound,
    ParamChanged,
    PromotionRefused,
    RunNotActive,
    StoreUnavailable,
    TargetGuarded,
)

INVALID_PARAMETER_VALUE = "INVALID_PARAMETER_VALUE"

STATUS_OF_CODE: Mapping[str, int] = {
    "BAD_REQUEST": 400,
    INVALID_PARAMETER_VALUE: 400,
    "RESOURCE_ALREADY_EXISTS": 400,
    "UNAUTHENTICATED": 401,
    "PERMISSION_DENIED": 403,
    "ENDPOINT_NOT_FOUND": 404,
    "RESOURCE_DOES_NOT_EXIST": 404,
    "RESOURCE_CONFLICT": 409,
    "INTERNAL_ERROR": 500,
    "NOT_IMPLEMENTED": 501,
    "TEMPORARILY_UNAVAILABLE": 503,
}

# The first class that an error is an instance of decides; the order is from the particular to the general.
_CODES: tuple[tuple[type[HeadgateError], str], ...] = (
    (NotFound, "RESOURCE_DOES_NOT_EXIST"),
    (AlreadyExists, "RESOURCE_ALREADY_EXISTS"),
    (TargetGuarded, "PERMISSION_DENIED"),
    (ModelPromoted, "PERMISSION_DENIED"),
    (PromotionRefused, "PERMISSION_DENIED"),
    (RunNotActive, INVALID_PARAMETER_VALUE),
    (InvalidSettings, "PERMISSION_DENIED"),  # of the server: neither the client's mistake, nor mended by a retry
    (InvalidInput, INVALID_PARAMETER_VALUE),
    (StoreUnavailable, "TEMPORARILY_UNAVAILABLE"),
    (ArtifactStoreUnavailable, "TEMPORARILY_UNAVAILABLE"),
)
_NOT_FOUND = {
    "experiment": "No Experiment with id={} exists",
    "logged model": "Logged model with ID '{}' not found.",
    "run": "Run with id={} not found",
}
_NO_SPACE = (errno.ENOSPC, errno.EDQUOT)


class WireError(Exception):
    """An answer that refuses the request. ``code`` is MLflow's error code and decides the HTTP status."""

    def __init__(self, code: str, message: str) -> None:
        super().__init__(message)
        self.code = code
        self.message = message

    @property
    def status(self) -> int:
        return STATUS_OF_CODE[self.code]

    def body(self) -> dict[str, str]:
        return {"error_code": self.code, "message": self.message}


def missing(name: str) -> WireError:
    """Return MLflow's error for a required parameter that is not there."""
    return WireError(
        INVALID_PARAMETER_VALUE,
        f"Missing value for required parameter '{name}'. See the API docs for more information about request "
        "parameters.",
    )


def wrong(name: str, value: object) -> WireError:
    """Return MLflow's error for a parameter of a wrong type."""
    return WireError(
        INVALID_PARAMETER_VALUE,
        f"Invalid value {_shown(value)} for parameter '{name}' supplied:  Hint: Value was of type "
        f"'{type(value).__name__}'. See the API docs for more information about request parameters.",
    )


def as_wire_error(error: Exception) -> WireError | None:
    """Return the answer that an error stands for; None for one that is a fault of ours."""
    if isinstance(error, WireError):
        return error
    for kind, code in _CODES:
        if isinstance(error, kind):
            return WireError(code, _message(error))
    if isinstance(error, UnicodeEncodeError) or _is_data_error(error):
        return WireError("BAD_REQUEST", "The request holds a value that no database holds: out of range, or not text.")
    if isinstance(error, OSError) and error.errno in _NO_SPACE:
        return WireError("TEMPORARILY_UNAVAILABLE", "The server has no space left on its disk.")
    if isinstance(error, HeadgateError):
        return WireError("TEMPORARILY_UNAVAILABLE" if error.retryable else "BAD_REQUEST", str(error))
    return None


def _is_data_error(error: Exception) -> bool:
    from sqlalchemy.exc import DataError

    return isinstance(error, DataError)


def _message(error: HeadgateError) -> str:
    """Return what scripts may compare in MLflow's words, and everything else in ours."""
    if isinstance(error, NotFound) and error.kind in _NOT_FOUND:
        return _NOT_FOUND[error.kind].format(error.key)
    if isinstance(error, ParamChanged):
        return error.message
    if isinstance(error, StoreUnavailable):  # where the database is, and what it said, is for the server's log
        return "The store did not answer. Try again."
    return str(error)


def _shown(value: object) -> str:
    text = json.dumps(value, default=str)
    return text if len(text) <= 200 else f"{text[:200]}…"
