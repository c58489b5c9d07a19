"""Judging a table by a suite, with Great Expectations 1.x.

What Great Expectations lets through is caught here: an expectation of an unknown type, which it drops; one that could
not be evaluated (a missing column, a wrong type), which it counts among the unmet; a severity, which it ignores. Each
call has a context of its own: contexts and what is made of them are not safe to share between threads.
"""

from __future__ import annotations

import difflib
import math
import os
import re
import warnings
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from importlib import import_module
from typing import Any

from headgate.store.entities import Outcome
from headgate.store.errors import InvalidSettings, InvalidSuite
from headgate.tasks.expectations.results import ExpectationResult
from headgate.tasks.expectations.sql import SqlTable, table_batch
from headgate.tasks.expectations.suite import Expectation, Suite
from headgate.tasks.expectations.table import GX_MISSING
from headgate.tasks.projects.secrets import mask_text

_EXAMPLES = 20
_BEACON = re.compile(r"<img[^>]*\bsrc=[\"']https?://[^>]*>", re.IGNORECASE)
_POSITION = "headgate.position"  # Great Expectations returns results in an order of its own


@dataclass(frozen=True, slots=True)
class Judged:
    """What came of each expectation of a suite, in the suite's order.

    Args:
        data_docs: Great Expectations' own page about them, when it was asked for.
    """

    results: tuple[ExpectationResult, ...]
    data_docs: str | None = None


def judge(table: Any, suite: Suite, parameters: Mapping[str, Any] | None = None, *, data_docs: bool = False) -> Judged:
    """Judge a table by a suite.

    Args:
        table: a DataFrame with at least one row, or a :class:`~headgate.tasks.expectations.sql.SqlTable`.
        suite: what is expected.
        data_docs: render Great Expectations' own page, too.
        parameters: values of ``{"$PARAMETER": name}`` in the suite.

    Raises:
        InvalidSuite: Great Expectations doesn't know an expectation, doesn't take its arguments, or misses a parameter.
        InvalidSettings: Great Expectations is not installed.
    """
    gx = _great_expectations()
    from great_expectations.exceptions.exceptions import GreatExpectationsError

    made = [_made(expectation, position) for position, expectation in enumerate(suite.expectations)]
    with _quiet(), ExitStack() as closing:
        context = gx.get_context(mode="ephemeral")
        context.variables.progress_bars = {"globally": False}
        context.enable_analytics(False)
        try:
            if isinstance(table, SqlTable):
                batch = closing.enter_context(table_batch(context, table))
            else:
                batch = _dataframe_batch(context, table)
            validated = batch.validate(
                gx.ExpectationSuite(name=suite.name, expectations=made),
                expectation_parameters=dict(parameters or {}),
                result_format="SUMMARY",
            )
        except GreatExpectationsError as error:
            raise InvalidSuite(
                f"The suite {suite.name!r} can't be evaluated: {mask_text(_line(error))}.",
                remedy="Check its parameters; they are given beside the suite.",
            ) from error
    found = {result.expectation_config.meta[_POSITION]: result.to_json_dict() for result in validated.results}
    if len(found) != len(suite.expectations):
        raise InvalidSuite(
            f"Great Expectations judged {len(found)} of the {len(suite.expectations)} expectations of {suite.name!r}.",
            remedy="Look for expectations that it can't evaluate on a table.",
        )
    results = tuple(_result(expectation, found[position]) for position, expectation in enumerate(suite.expectations))
    return Judged(results, _data_docs(validated) if data_docs else None)


def _dataframe_batch(context: Any, table: Any) -> Any:
    asset = context.data_sources.add_pandas("data").add_dataframe_asset("table")
    return asset.add_batch_definition_whole_dataframe("whole").get_batch({"dataframe": table})


def _data_docs(validated: Any) -> str:
    """Return Great Expectations' page, without the image by which it would tell its maker that somebody reads it."""
    renderer: Any = import_module("great_expectations.render.renderer")
    view: Any = import_module("great_expectations.render.view")
    with _quiet():
        page: str = view.DefaultJinjaPageView().render(renderer.ValidationResultsPageRenderer().render(validated))
    return _BEACON.sub("", page)


def _great_expectations() -> Any:
    # Versions before 1.24 sent usage data unless told not to.
    os.environ.setdefault("GX_ANALYTICS_ENABLED", "false")
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # it imports modules that Python has deprecated
            import great_expectations
    except ImportError as error:
        raise InvalidSettings(
            "Validating data needs Great Expectations, which is not installed.", remedy=GX_MISSING
        ) from error
    return great_expectations


@contextmanager
def _quiet() -> Iterator[None]:
    """What Great Expectations and the libraries below it warn about is not the caller's to mend."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        yield


def _made(expectation: Expectation, position: int) -> Any:
    """Return Great Expectations' own form of an expectation, which is checked as it is made."""
    from great_expectations.exceptions.exceptions import ExpectationNotFoundError
    from great_expectations.expectations.registry import (
        get_expectation_impl,
        list_registered_expectation_implementations,
    )

    try:
        implementation: Any = get_expectation_impl(expectation.type)
    except ExpectationNotFoundError as error:
        close = difflib.get_close_matches(expectation.type, list_registered_expectation_implementations(), 1)
        raise InvalidSuite(
            f"{expectation.place}: Great Expectations knows no {expectation.type!r}.",
            remedy=f"Did you mean {close[0]}?" if close else "Look its type up in Great Expectations' gallery.",
        ) from error
    meta = {_POSITION: position}
    try:
        with _quiet():
            return implementation(**expectation.kwargs, severity=expectation.severity, meta=meta)
    except (TypeError, ValueError) as error:  # pydantic's errors are ValueErrors
        raise InvalidSuite(
            f"{expectation.place}: {expectation.type} can't have these kwargs: {_line(error)}.",
            remedy="Correct them; Great Expectations' gallery lists what it takes.",
        ) from error


def _result(expectation: Expectation, found: Mapping[str, Any]) -> ExpectationResult:
    result = found["result"]
    problem = _exception(found["exception_info"])
    if problem is not None:
        outcome, message = Outcome.ERROR, f"It could not be judged: {problem}."
    elif found["success"] is True:
        outcome, message = Outcome.PASS, _figures(result) or "It is met."
    else:
        outcome, message = Outcome.REJECT, _figures(result) or "It is not met."
    return ExpectationResult(
        type=expectation.type,
        kwargs=expectation.kwargs,
        rule=expectation.rule,
        severity=expectation.severity,
        outcome=outcome,
        message=message,
        element_count=result.get("element_count"),
        unexpected_count=result.get("unexpected_count"),
        unexpected_percent=_number(result.get("unexpected_percent")),
        observed=_json_value(result.get("observed_value")),
        examples=tuple(_json_value(value) for value in (result.get("partial_unexpected_list") or [])[:_EXAMPLES]),
    )


def _exception(info: Mapping[str, Any]) -> str | None:
    """Return what an expectation raised; it is told flat, or per metric."""
    told = [info] if "raised_exception" in info else [each for each in info.values() if isinstance(each, Mapping)]
    raised = [str(each.get("exception_message")) for each in told if each.get("raised_exception")]
    return _line(raised[0]) if raised else None


def _figures(result: Mapping[str, Any]) -> str:
    looked_at, unexpected = result.get("element_count"), result.get("unexpected_count")
    if looked_at is not None and unexpected is not None:
        percent = _number(result.get("unexpected_percent"))
        share = "" if percent is None else f" ({percent:.4g} %)"
        return f"{unexpected} of {looked_at} values{share} are not as expected."
    observed = result.get("observed_value")
    if isinstance(observed, bool | int | float):
        return f"It is {observed}."
    return ""


def _number(value: Any) -> float | None:
    return float(value) if isinstance(value, int | float) and math.isfinite(value) else None


def _json_value(value: Any) -> Any:
    """Return a value that JSON has: Great Expectations leaves times and decimals among its own."""
    if isinstance(value, Mapping):
        return {str(key): _json_value(item) for key, item in value.items()}
    if isinstance(value, list | tuple | set):
        return [_json_value(item) for item in value]
    if value is None or isinstance(value, bool | int | str):
        return value
    if isinstance(value, float):
        return value if math.isfinite(value) else str(value)
    return str(value)


def _line(error: object) -> str:
    return "; ".join(part.strip() for part in str(error).splitlines() if part.strip()).rstrip(".")
