"""The same calls to two servers, and their answers made comparable: ids, times and addresses by what they stand for."""

from __future__ import annotations

import json
import math
import re
import time
import uuid
from dataclasses import dataclass, field
from typing import Any

import requests

from tests.wire.deliberate import OURS_ONLY

_TIMES = frozenset(
    {
        "creation_time",
        "last_update_time",
        "start_time",
        "end_time",
        "creation_timestamp",
        "last_updated_timestamp",
        "creation_timestamp_ms",
        "last_updated_timestamp_ms",
    }
)
_UNORDERED = frozenset(
    {"tags", "params", "aliases", "dataset_inputs", "model_inputs", "model_outputs", "latest_versions"}
)
Answer = tuple[str, int, Any]
"""What was called, the status and the comparable body."""

PATIENCE = 300.0  # seconds until a server that does not answer counts as hung
_NAMES = re.compile(r"[a-z]+-[a-z]+-\d+")


@dataclass
class Conversation:
    """Calls one server and keeps what it answers.

    Args:
        url: of the server.
    """

    url: str
    answers: list[Answer] = field(default_factory=list)
    _places: dict[str, str] = field(default_factory=dict)
    _experiment_id: str = ""
    _session: requests.Session = field(default_factory=requests.Session)
    _answered_at: int = 0

    def __enter__(self) -> Conversation:
        return self

    def __exit__(self, *_: object) -> None:
        self._session.close()

    def call(
        self,
        method: str,
        path: str,
        said: dict[str, Any] | None = None,
        *,
        name: str | None = None,
        message: bool = False,
        data: str | bytes | None = None,
    ) -> Any:
        """Send a call; a refusal is an answer, too. Returns the body.

        Args:
            said: the query of a GET, the JSON body of all else.
            name: of the answer; the call itself when None.
            message: compare the message of a refusal as well, as scripts depend on it.
            data: a body to send as it is.
        """
        url = f"{self.url}/api/{path}" if path[0].isdigit() else f"{self.url}{path}"
        options: dict[str, Any] = {"params": said} if method == "GET" else {"json": said or {}}
        if data is not None:
            options = {"data": data, "headers": {"Content-Type": "application/json"}}
        self._in_another_millisecond()
        response = self._session.request(method, url, timeout=PATIENCE, **options)
        self._answered_at = _now_ms()
        try:
            body = response.json()
        except ValueError:
            body = response.content.decode()
        label = name or f"{method} {path} {said}"
        self.answers.append((label, response.status_code, _comparable(body, message)))
        return body

    def _in_another_millisecond(self) -> None:
        """Wait until the clock has moved: servers order what they made by milliseconds, and ties by chance."""
        while _now_ms() == self._answered_at:
            time.sleep(0.0002)

    def fresh(self, name: str) -> str:
        """Return a name that no other conversation uses, called by ``name`` in every answer.

        The letter before the digits keeps it apart from the names that servers invent (``_NAMES``).
        """
        value = f"{name}-u{uuid.uuid4().hex[:12]}"
        self.stands_for(value.upper(), name.upper())
        return self.stands_for(value, name)

    def stands_for(self, value: str, what: str) -> str:
        """Let an id be called by what it stands for in every answer, earlier ones, too."""
        self._places[value] = f"<{what}>"
        return value

    def in_experiment(self, experiment_id: str) -> str:
        """Let the number of an experiment be called so where it is one, and not where it is any number."""
        self._experiment_id = experiment_id
        return experiment_id

    def told(self) -> list[Answer]:
        """Return every answer, ids by their names."""
        return [(self._said(label), status, _sorted(self._renamed(body))) for label, status, body in self.answers]

    def _said(self, text: str) -> str:
        for value, what in self._places.items():
            text = text.replace(value, what)
        if self._experiment_id:
            number = re.escape(self._experiment_id)
            text = re.sub(rf"(experiment_ids?'?: \[?'|mlflow-artifacts:/){number}(?=\W|$)", r"\1<experiment>", text)
        return text

    def _renamed(self, value: Any, key: str = "") -> Any:
        if isinstance(value, dict):
            return {name: self._renamed(each, name) for name, each in value.items()}
        if isinstance(value, list):
            return [self._renamed(each) for each in value]
        if key == "experiment_id" and value == self._experiment_id:
            return "<experiment>"
        return self._said(value) if isinstance(value, str) else value


def _now_ms() -> int:
    return time.time_ns() // 1_000_000


def _comparable(body: Any, message: bool) -> Any:
    if isinstance(body, dict) and "error_code" in body:
        return {name: body[name] for name in ("error_code", "message") if name == "error_code" or message}
    return _normal(body)


def _normal(value: Any, key: str = "") -> Any:
    if isinstance(value, dict):
        if "current_stage" in value:
            value = {name: each for name, each in value.items() if name not in OURS_ONLY}
        if value.get("key") == "mlflow.runName":
            return {"key": "mlflow.runName", "value": _without_invention(value["value"])}
        return {name: _normal(each, name) for name, each in value.items()}
    if isinstance(value, list):
        return [_normal(each) for each in value]
    if key in _TIMES and isinstance(value, int) and value > 1_600_000_000_000:
        return "<time>"
    if isinstance(value, float) and math.isnan(value):
        return "NaN"
    if key == "next_page_token":
        return "<token>"
    return _without_invention(value) if key in ("run_name", "name") else value


def _without_invention(name: Any) -> Any:
    """Forget a name that the server made up for a run or a model."""
    return "<invented name>" if isinstance(name, str) and _NAMES.fullmatch(name) else name


def _sorted(value: Any, key: str = "") -> Any:
    """Order what no server promises to order. A history of metrics has an order, the metrics of a run have none."""
    if isinstance(value, dict):
        return {name: _sorted(each, name) for name, each in value.items()} | _metrics_by_key(value)
    if isinstance(value, list):
        items = [_sorted(each) for each in value]
        return sorted(items, key=_stable) if key in _UNORDERED else items
    return value


def _metrics_by_key(value: dict[str, Any]) -> dict[str, Any]:
    points = value.get("metrics")
    if points is None or len({point["key"] for point in points}) < 2:
        return {}
    return {"metrics": sorted(points, key=_stable)}


def _stable(value: Any) -> str:
    return json.dumps(value, sort_keys=True)
