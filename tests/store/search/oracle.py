"""What a search of runs must find, said again in plain Python, and worlds and questions to compare it on."""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

from hypothesis import strategies as st

from headgate.store.entities import Dataset, DatasetInput, LifecycleStage, Metric, Run, RunStatus
from headgate.store.store import Store

KEYS = ("a", "b.c", "K k")
TEXTS = (
    "",
    "x",
    "X",
    "xy",
    "x ",
    "y%",
    "é",
    "it's",
    "back\\slash",
    "a|b",
    "'; DROP TABLE headgate_run; --",
    "long" * 60,
)
# ILIKE folds ASCII on SQLite and everything elsewhere: the texts have no other capitals.
PATTERNS = (*TEXTS, "|%", "a||b", "%", "x%", "%y", "_", "x_", "%é%", "long%", "y\\%", "%\\%")
NUMBERS = (0.0, -0.0, 1.0, -1.0, 0.5, 1e308, math.inf, -math.inf, math.nan)
STATUSES = (RunStatus.RUNNING, RunStatus.FINISHED, RunStatus.FAILED)


@dataclass(frozen=True)
class Made:
    """A run as it was logged."""

    start_time: int
    metrics: dict[str, float] = field(default_factory=dict)
    params: dict[str, str] = field(default_factory=dict)
    tags: dict[str, str] = field(default_factory=dict)
    datasets: tuple[tuple[str, str, str | None], ...] = ()
    status: RunStatus = RunStatus.RUNNING
    end_time: int | None = None
    user: str = ""
    deleted: bool = False


@dataclass(frozen=True)
class Said:
    """One comparison: as it is written, and what it means."""

    text: str
    holds: Callable[[Run], bool]


@dataclass(frozen=True)
class Order:
    """One clause of an order: as it is written, and what it looks at; None is missing."""

    text: str
    value: Callable[[Run], Any]
    ascending: bool


@dataclass(frozen=True)
class Question:
    filter: tuple[Said, ...]
    order_by: tuple[Order, ...]
    view_type: LifecycleStage | None

    def search(self, store: Store, experiments: Sequence[str], size: int) -> list[str]:
        """Return the ids of all pages."""
        found: list[str] = []
        token = None
        while True:
            page = store.runs.search(
                experiments,
                " AND ".join(said.text for said in self.filter),
                order_by=[order.text for order in self.order_by],
                view_type=self.view_type,
                max_results=size,
                page_token=token,
            )
            assert len(page.items) == size or page.next_page_token is None
            found += [run.info.run_id for run in page.items]
            token = page.next_page_token
            if token is None:
                return found

    def expected(self, runs: Sequence[Run]) -> list[str]:
        stages = (self.view_type,) if self.view_type else tuple(LifecycleStage)
        left = [
            run for run in runs if run.info.lifecycle_stage in stages and all(said.holds(run) for said in self.filter)
        ]
        left.sort(key=lambda run: run.info.run_id)
        left.sort(key=lambda run: run.info.start_time, reverse=True)
        for order in reversed(self.order_by):
            left.sort(key=lambda run, order=order: comparable(order.value(run)), reverse=not order.ascending)
            left.sort(key=lambda run, order=order: rank(order.value(run)))
        return [run.info.run_id for run in left]


def rank(value: Any) -> int:
    return 2 if value is None else 1 if value != value else 0


def comparable(value: Any) -> Any:
    if value is None or value != value:
        return ()
    return (value.encode() if isinstance(value, str) else value,)


def make(store: Store, experiment: str, made: Made) -> None:
    run_id = store.runs.open(
        experiment, start_time=made.start_time, params=made.params, tags=made.tags, user_id=made.user
    ).info.run_id
    store.runs.log_batch(run_id, metrics=[Metric(key, value, 1) for key, value in made.metrics.items()])
    if made.datasets:
        store.datasets.log_inputs(
            run_id,
            [
                DatasetInput(Dataset(name, digest), {} if context is None else {"mlflow.data.context": context})
                for name, digest, context in made.datasets
            ],
        )
    if made.status is not RunStatus.RUNNING:
        store.runs.update(run_id, status=made.status, end_time=made.end_time)
    if made.deleted:
        store.runs.delete(run_id)


def like(text: str, pattern: str, *, fold: bool) -> bool:
    parts = [".*" if c == "%" else "." if c == "_" else re.escape(c) for c in pattern]
    return re.fullmatch("".join(parts), text, re.DOTALL | (re.IGNORECASE if fold else 0)) is not None


TEXT_OPERATORS: dict[str, Callable[[str, Any], bool]] = {
    "=": lambda text, value: text == value,
    "!=": lambda text, value: text != value,
    "LIKE": lambda text, value: like(text, value, fold=False),
    "ilike": lambda text, value: like(text, value, fold=True),
    "IN": lambda text, value: text in value,
    "NOT IN": lambda text, value: text not in value,
}
NUMBER_OPERATORS: dict[str, Callable[[Any, Any], bool]] = {
    "=": lambda number, value: number == value,
    "!=": lambda number, value: number != value,
    "<": lambda number, value: number < value,
    "<=": lambda number, value: number <= value,
    ">": lambda number, value: number > value,
    ">=": lambda number, value: number >= value,
}


def quoted(text: str) -> str:
    return f'"{text}"' if "'" in text else f"'{text}'"


def of_metric(key: str, operator: str, value: float) -> Said:
    def holds(run: Run) -> bool:
        return key in run.metrics and NUMBER_OPERATORS[operator](run.metrics[key].value, value)

    return Said(f"metrics.`{key}` {operator} {value!r}", holds)


def of_pair(kind: str, key: str, operator: str, value: str) -> Said:
    def holds(run: Run) -> bool:
        pairs = getattr(run, kind)
        return key in pairs and TEXT_OPERATORS[operator](pairs[key], value)

    return Said(f"{kind}.`{key}` {operator} {quoted(value)}", holds)


def of_presence(kind: str, key: str, present: bool) -> Said:
    said = "IS NOT NULL" if present else "is null"
    return Said(f"{kind}.`{key}` {said}", lambda run: (key in getattr(run, kind)) is present)


def of_attribute(name: str, operator: str, value: str) -> Said:
    attribute = {"run_name": "name"}.get(name, name)
    return Said(
        f"{name} {operator} {quoted(value)}",
        lambda run: TEXT_OPERATORS[operator](str(getattr(run.info, attribute)), value),
    )


def of_time(name: str, operator: str, value: float) -> Said:
    def holds(run: Run) -> bool:
        time = getattr(run.info, name)
        return time is not None and NUMBER_OPERATORS[operator](time, value)

    return Said(f"attributes.{name} {operator} {value!r}", holds)


def of_dataset(key: str, operator: str, value: str | tuple[str, ...]) -> Said:
    def holds(run: Run) -> bool:
        if key == "context":
            tags = [item.tags for item in run.dataset_inputs]
            return any(
                TEXT_OPERATORS[operator](of_input["mlflow.data.context"], value)
                for of_input in tags
                if "mlflow.data.context" in of_input
            )
        return any(TEXT_OPERATORS[operator](getattr(item.dataset, key), value) for item in run.dataset_inputs)

    said = quoted(value) if isinstance(value, str) else f"({', '.join(map(quoted, value))})"
    return Said(f"dataset.{key} {operator} {said}", holds)


def by(kind: str, key: str, ascending: bool) -> Order:
    def value(run: Run) -> Any:
        if kind == "metrics":
            return run.metrics[key].value if key in run.metrics else None
        found = getattr(run, kind).get(key)
        return None if found is None else found[:200]

    return Order(f"{kind}.`{key}` {'ASC' if ascending else 'DESC'}", value, ascending)


def by_attribute(name: str, ascending: bool) -> Order:
    attribute = {"run_name": "name"}.get(name, name)

    def value(run: Run) -> Any:
        found = getattr(run.info, attribute)
        return str(found) if isinstance(found, str) else found

    return Order(f"{name} {'asc' if ascending else 'desc'}", value, ascending)


times = st.integers(1, 4)
keys = st.sampled_from(KEYS)
texts = st.sampled_from(TEXTS)
pair_kinds = st.sampled_from(["params", "tags"])
finite = st.sampled_from([n for n in NUMBERS if math.isfinite(n)])
numeric = st.sampled_from(sorted(NUMBER_OPERATORS))
equality = st.sampled_from(["=", "!="])
pattern_operators = st.sampled_from(["LIKE", "ilike"])

worlds = st.lists(
    st.builds(
        Made,
        start_time=times,
        metrics=st.dictionaries(keys, st.sampled_from(NUMBERS)),
        params=st.dictionaries(keys, texts),
        tags=st.dictionaries(keys, texts),
        datasets=st.sampled_from([(), (("d", "1", "train"),), (("d", "2", None), ("e", "1", "x"))]),
        status=st.sampled_from(STATUSES),
        end_time=times,
        user=st.sampled_from(["", "ann", "Bob"]),
        deleted=st.sampled_from([False, False, False, True]),
    ),
    max_size=12,
)
said = st.one_of(
    st.builds(of_metric, keys, numeric, finite),
    st.builds(of_pair, pair_kinds, keys, equality, texts),
    st.builds(of_pair, pair_kinds, keys, pattern_operators, st.sampled_from(PATTERNS)),
    st.builds(of_presence, pair_kinds, keys, st.booleans()),
    st.builds(
        of_attribute, st.sampled_from(["status", "user_id", "run_name"]), equality, st.sampled_from(["", "FAILED"])
    ),
    st.builds(of_attribute, st.sampled_from(["status", "user_id"]), pattern_operators, st.sampled_from(["%b", "F%"])),
    st.builds(of_time, st.sampled_from(["start_time", "end_time"]), numeric, st.sampled_from([2, 2.5, 10**30])),
    st.builds(of_dataset, st.sampled_from(["name", "digest", "context"]), equality, st.sampled_from(["d", "1", "x"])),
    st.builds(of_dataset, st.just("name"), st.sampled_from(["IN", "NOT IN"]), st.just(("d", "f"))),
)
orders = st.one_of(
    st.builds(by, st.sampled_from(["metrics", "params", "tags"]), keys, st.booleans()),
    st.builds(
        by_attribute,
        st.sampled_from(["start_time", "end_time", "status", "user_id", "run_name", "run_id"]),
        st.booleans(),
    ),
)
questions = st.builds(
    Question,
    st.lists(said, max_size=3).map(tuple),
    st.lists(orders, max_size=3, unique_by=lambda order: order.text.split("` ")[0].split(" ")[0]).map(tuple),
    st.sampled_from([LifecycleStage.ACTIVE, LifecycleStage.ACTIVE, LifecycleStage.DELETED, None]),
)
