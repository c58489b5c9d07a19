"""Where Headgate answers other than MLflow on purpose. Each line is asserted: both answers, exactly."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Difference:
    """One call that the two servers answer differently.

    Args:
        call: its label in the conversation.
        ours: Headgate's status, and error code if it is a refusal.
        theirs: MLflow's.
        why: the reason.
        theirs_on_postgresql: MLflow's where its database is PostgreSQL, if that is another one.
    """

    call: str
    ours: tuple[int, str | None]
    theirs: tuple[int, str | None]
    why: str
    theirs_on_postgresql: tuple[int, str | None] | None = None

    def outcomes(self, dialect: str) -> tuple[tuple[int, str | None], tuple[int, str | None]]:
        """Return Headgate's answer and MLflow's on a database."""
        on_postgresql = self.theirs_on_postgresql if dialect == "postgresql" else None
        return self.ours, on_postgresql or self.theirs


OURS_ONLY = frozenset({"model_id"})
"""Fields of a model version that MLflow knows and answers nothing in."""

_OK = (200, None)
_INVALID = (400, "INVALID_PARAMETER_VALUE")
_BAD = (400, "BAD_REQUEST")
_FAILED = (500, "INTERNAL_ERROR")
_CRASHED = (500, None)

_RETRIES = "a 500 makes clients retry for minutes"
_NOTHING_SAID = "MLflow takes a value of a wrong type for nothing said"
_STRICT_PATHS = "a path means the same on every system, or nothing"
_PAGE_SIZE = "an absurd page size is an error"

_BROKEN = ("{", "nonsense", "[]", "null", "3", '"text"', '{"run_id": ', "\x00", '{"a": 1} {}')

DELIBERATE = (
    Difference("status that is none", _INVALID, _OK, _NOTHING_SAID),
    Difference("input without a dataset", _INVALID, _OK, "MLflow records a dataset without name and digest"),
    Difference("params without model_id in the body", _OK, _INVALID, "the path says which model it is"),
    Difference("order by one metric twice", _INVALID, _FAILED, _RETRIES),
    Difference("batch ''", _INVALID, _CRASHED, _RETRIES),
    *(Difference(f"batch {body!r}", _BAD, _CRASHED, _RETRIES) for body in _BROKEN),
    Difference("a metric that is a number", _INVALID, _CRASHED, _RETRIES),
    Difference("a tag with a number", _INVALID, _OK, _NOTHING_SAID),
    Difference("run that starts in half a millisecond", _INVALID, _OK, _NOTHING_SAID),
    Difference("metric with yes", _INVALID, _OK, _NOTHING_SAID),
    Difference("metric with a list", _INVALID, _CRASHED, _RETRIES),
    Difference("metric with a value beyond a float", _OK, _CRASHED, "it is an infinity, as MLflow keeps those"),
    Difference("metric with half a millisecond", _INVALID, _OK, _NOTHING_SAID),
    Difference("metric with a yes for a time", _INVALID, _OK, _NOTHING_SAID),
    Difference("metric with a time beyond 64 bits", _INVALID, _OK, _NOTHING_SAID),
    Difference("metric with a time before 64 bits", _INVALID, _OK, _NOTHING_SAID),
    Difference("metric with half a step", _INVALID, _OK, _NOTHING_SAID),
    Difference("many points", _INVALID, _OK, _NOTHING_SAID),
    Difference("models by metrics.acc > 'x'", _INVALID, _FAILED, _RETRIES),
    Difference("models by nonsense = 'x'", _INVALID, _FAILED, _RETRIES),
    Difference("models by creation_timestamp > 'x'", _INVALID, _FAILED, _RETRIES),
    Difference("models by tags.team = team", _INVALID, _OK, "text is quoted in every other search"),
    Difference("models by status = 'READY'", _OK, _OK, "MLflow compares the word with its number", _BAD),
    Difference("0 models", _INVALID, _OK, _PAGE_SIZE),
    Difference("-1 models", _INVALID, _OK, _PAGE_SIZE),
    Difference("0 registered models", _INVALID, _OK, _PAGE_SIZE),
    Difference("-1 registered models", _INVALID, _OK, _PAGE_SIZE),
    Difference("models behind nonsense", _INVALID, _CRASHED, _RETRIES),
    Difference("models ordered by creation_timestamp", _OK, _INVALID, "versions can be ordered by it, so can models"),
    Difference("copy that names the LoggedModel", _OK, _INVALID, "MLflow forgets the LoggedModel of a version"),
    Difference("get plots", (404, "RESOURCE_DOES_NOT_EXIST"), (400, None), "a folder is no file, and JSON says so"),
    Difference("list a\\..\\b", _INVALID, _OK, _STRICT_PATHS),
    Difference("list of the run a\\..\\b", _INVALID, _OK, _STRICT_PATHS),
    Difference("list a/./b", _INVALID, _OK, _STRICT_PATHS),
    Difference("list of the run a/./b", _INVALID, _OK, _STRICT_PATHS),
    Difference("get %5c%5cserver", _INVALID, (404, "RESOURCE_DOES_NOT_EXIST"), _STRICT_PATHS),
    Difference("put %5c%5cserver", _INVALID, _OK, _STRICT_PATHS),
    Difference("server-info", _OK, _OK, "Headgate has no gateway"),
    Difference("no endpoint", (404, "ENDPOINT_NOT_FOUND"), (404, None), "every error is JSON"),
)
