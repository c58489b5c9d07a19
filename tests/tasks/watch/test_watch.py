"""Looking after a promotion: what a window says, what is recorded, and the rollback that comes of it."""

from __future__ import annotations

import math
import shutil
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from headgate.store.entities import LoggedModel, Metric, Outcome, Promotion, PromotionKind
from headgate.store.errors import GateErrored, GateHeld, GateRejected, InvalidGate, InvalidInput, NotFound
from headgate.store.settings import Settings
from headgate.store.store import Store, open_store
from headgate.tasks.watch.file import load_watch, parse_watch, watch_from_definition
from headgate.tasks.watch.judge import judge
from headgate.tasks.watch.look import Watched, look_after_promotion, watch_error, watch_model
from headgate.tasks.watch.model import Over, Watch, WatchCheck
from tests.store.promotion_cases import CHAMPION, HOUR, MODEL, NOW, candidate, promote

WATCH = Watch(
    "after-deploy",
    (WatchCheck("error_rate", at_most=0.02), WatchCheck("latency_ms", below=60, over=Over.MAX, severity="warn")),
    window="24h",
    min_points=2,
)
END = NOW + 24 * HOUR


def point(key: str, value: float, after: int = HOUR, **more: Any) -> Metric:
    return Metric(key=key, value=value, timestamp=NOW + after, step=0, **more)


def says(*points: Metric, now: int = NOW + 12 * HOUR, watch: Watch = WATCH) -> Outcome:
    return judge(watch, points, since=NOW, now=now)[0]


def test_a_window_holds_while_nothing_is_broken_and_passes_at_its_end() -> None:
    sound = (point("error_rate", 0.01), point("error_rate", 0.03, 2 * HOUR))  # 0.02 in the mean
    assert says(*sound) is Outcome.HOLD
    assert says(*sound, now=END) is Outcome.PASS


def test_a_broken_check_rejects_at_once_with_enough_points() -> None:
    assert says(point("error_rate", 0.5)) is Outcome.HOLD  # one point, and it takes two
    assert says(point("error_rate", 0.5), point("error_rate", 0.5, 2)) is Outcome.REJECT
    _, (found, _) = judge(
        WATCH, [point("error_rate", 0.5), point("error_rate", 0.5, 2)], since=NOW, now=NOW + 12 * HOUR
    )
    assert (found.rule, found.actual, found.threshold) == ("mean error_rate <= 0.02", 0.5, 0.02)
    assert found.message == "The mean of 2 points is 0.5, which breaks the rule."


def test_only_points_of_the_window_count() -> None:
    outside = [point("error_rate", 0.9, after) for after in (-1, -HOUR, 24 * HOUR + 1, 25 * HOUR)]
    inside = [point("error_rate", 0.01, after) for after in (0, 24 * HOUR)]
    assert says(*outside, *inside, now=END + HOUR) is Outcome.PASS
    assert says(*inside, now=NOW + HOUR) is Outcome.HOLD  # the second one is of the future


def test_silence_is_an_error_at_the_end() -> None:
    assert says(now=NOW) is Outcome.HOLD
    assert says(now=END) is Outcome.ERROR
    assert says(point("error_rate", 0.01), now=END) is Outcome.ERROR


@given(bad=st.sampled_from([math.nan, math.inf, -math.inf]), good=st.lists(st.floats(0, 0.02), max_size=5))
def test_what_is_no_number_keeps_no_bound(bad: float, good: list[float]) -> None:
    points = [*(point("error_rate", value, n) for n, value in enumerate(good)), point("error_rate", bad, 99)]
    assert says(*points) is Outcome.REJECT
    assert says(*points, now=END) is Outcome.REJECT


def test_a_check_that_warns_decides_nothing() -> None:
    sound = (point("error_rate", 0.01), point("error_rate", 0.01, 2))
    slow = (point("latency_ms", 900), point("latency_ms", 1, 2))
    outcome, (_, warned) = judge(WATCH, [*sound, *slow], since=NOW, now=END)
    assert (outcome, warned.outcome) == (Outcome.PASS, Outcome.REJECT)


@pytest.mark.parametrize(
    ("over", "expected"), [("mean", 2.5), ("median", 2.0), ("min", 1.0), ("max", 5.0), ("last", 2.0)]
)
def test_what_of_the_points_is_compared(over: str, expected: float) -> None:
    watch = Watch("w", (WatchCheck("m", below=100, over=over),))  # type: ignore[arg-type]
    points = [point("m", value, n) for n, value in enumerate((1.0, 2.0, 5.0, 2.0))]
    _, (found,) = judge(watch, points, since=NOW, now=END)
    assert found.actual == expected


# The file


TEXT = """\
name: after-deploy
window: 24h
min_points: 2
checks:
  - {metric: error_rate, at_most: 0.02}
  - {metric: latency_ms, below: 60, over: max, severity: warn}
"""


def test_a_file_and_python_say_the_same(tmp_path: Path) -> None:
    file = tmp_path / "watch.yaml"
    file.write_text(TEXT)
    assert load_watch(file) == WATCH == watch_from_definition(WATCH.definition())
    assert load_watch(file).digest == WATCH.digest


@pytest.mark.parametrize(
    ("text", "line", "says"),
    [
        ("", 1, "empty"),
        ("name: x\n", 1, "no `checks`"),
        ("name: x\nchecks: {}\n", 2, "must be a list"),
        ("name: x\nwindow: soon\nchecks:\n  - {metric: m, below: 1}\n", 2, "duration"),
        ("name: x\nchecks:\n  - {metric: m}\n", 3, "exactly one"),
        ("name: x\nchecks:\n  - {metric: m, below: 1, above: 2}\n", 3, "exactly one"),
        ("name: x\nchecks:\n  - {below: 1}\n", 3, "no `metric`"),
        ("name: x\nchecks:\n  - metric: m\n    below: 1\n    over: all\n", 5, "over must be"),
        ("name: x\nodd: 1\nchecks:\n  - {metric: m, below: 1}\n", 2, "unknown key `odd`"),
        ("name: x\nmin_points: 0\nchecks:\n  - {metric: m, below: 1}\n", 2, "min_points"),
        ("name: x\nchecks:\n  - {metric: m, below: 1, severity: warn}\n", 1, "no check that can block"),
    ],
)
def test_mistakes_name_their_line(text: str, line: int, says: str) -> None:
    with pytest.raises(InvalidGate, match=says) as mistake:
        parse_watch(text)
    assert (mistake.value.file, mistake.value.line) == ("watch.yaml", line)


def test_names_that_look_like_numbers_are_texts_as_in_a_gate_file() -> None:
    watch = parse_watch("name: 2026\nchecks:\n  - {metric: 010, below: 1}\n")
    assert watch == Watch("2026", (WatchCheck("010", below=1),))


@pytest.mark.parametrize(
    "text",
    ["", "x" * 1_000_001, "\x00", "name: &a [*a]"],
    ids=["empty", "long", "binary", "endless"],
)
def test_a_file_that_is_none_is_called_a_watch_file(text: str) -> None:
    with pytest.raises(InvalidGate) as mistake:
        parse_watch(text)
    said = f"{mistake.value.message} {mistake.value.remedy}"
    assert "gate" not in said
    assert mistake.value.remedy


def test_a_mistake_in_a_definition_without_a_file_names_the_watch() -> None:
    with pytest.raises(InvalidGate, match=r"^watch definition at checks\[0\]\.belwo: unknown key `belwo`") as mistake:
        watch_from_definition({"name": "x", "checks": [{"metric": "m", "belwo": 1}]})
    assert "Did you mean `below`?" in mistake.value.remedy


# Against a store


@pytest.fixture
def store(migrated_file: Path, tmp_path: Path) -> Iterator[Store]:
    with open_store(f"sqlite:///{shutil.copy(migrated_file, tmp_path)}", settings=Settings()) as opened:
        yield opened


@pytest.fixture
def models(store: Store) -> tuple[LoggedModel, LoggedModel]:
    """Two models, promoted one after the other; the second one holds the target since NOW."""
    found = (candidate(store), candidate(store))
    promote(store, found[0], now=NOW - HOUR, decided_at=NOW - HOUR)
    promote(store, found[1], now=NOW)
    return found


def log(store: Store, model: LoggedModel, *values: float, after: int = HOUR) -> None:
    points = [point("error_rate", value, after + n, model_id=model.model_id) for n, value in enumerate(values)]
    store.logged_models.log_metrics(model.model_id, points)


def look(store: Store, now: int = NOW + 12 * HOUR, watch: Watch = WATCH, **options: Any) -> Watched:
    return look_after_promotion(store, watch, MODEL, CHAMPION, actor="watcher", now=now, **options)


def last(store: Store) -> Promotion:
    found = store.promotions.current(MODEL, CHAMPION)
    assert found is not None
    return found


def test_a_broken_watch_rolls_back_and_says_why(store: Store, models: tuple[LoggedModel, LoggedModel]) -> None:
    log(store, models[1], 0.4, 0.6)
    found = look(store)
    assert (found.outcome, found.superseded) == (Outcome.REJECT, False)
    event = last(store)
    assert found.rollback == event
    assert (event.kind, event.to_version, event.from_version) == (PromotionKind.ROLL_BACK, 1, 2)
    assert event.reason == (
        "watch after-deploy: [mean error_rate <= 0.02] The mean of 2 points is 0.5, which breaks the rule."
    )
    assert found.verdict is not None
    assert (event.verdict_id, found.verdict.used_by) == (found.verdict.verdict_id, event.promotion_id)
    kept = store.verdicts.get(found.verdict.verdict_id)
    assert (kept.gate_name, kept.outcome, kept.candidate_model_id) == (
        "after-deploy",
        Outcome.REJECT,
        models[1].model_id,
    )
    error = watch_error(found)
    assert isinstance(error, GateRejected)
    assert "Version 1 holds it again" in str(error)


def test_looking_again_finds_what_was_done(store: Store, models: tuple[LoggedModel, LoggedModel]) -> None:
    log(store, models[1], 0.4, 0.6)
    promotion_id = last(store).promotion_id
    first = look(store, promotion_id=promotion_id)
    again = look(store, promotion_id=promotion_id, now=NOW + 13 * HOUR)
    assert (again.outcome, again.rollback) == (Outcome.REJECT, first.rollback)
    assert len(store.promotions.history(MODEL)) == 3


def test_a_sound_model_is_left_alone_and_its_end_is_recorded(
    store: Store, models: tuple[LoggedModel, LoggedModel]
) -> None:
    log(store, models[1], 0.01, 0.01)
    open_ = look(store)
    assert (open_.outcome, open_.verdict) == (Outcome.HOLD, None)
    assert isinstance(watch_error(open_), GateHeld)
    ended = look(store, now=END)
    assert ended.outcome is Outcome.PASS
    assert ended.verdict is not None
    assert watch_error(ended) is None
    assert last(store).to_version == 2


def test_what_is_final_is_recorded_once_and_stays_so(store: Store, models: tuple[LoggedModel, LoggedModel]) -> None:
    log(store, models[1], 0.01, 0.01)
    ended = look(store, now=END)
    log(store, models[1], 0.9, 0.9, after=2 * HOUR)  # late, and too late
    again = [look(store, now=END + n) for n in (1, HOUR)]
    assert [(each.outcome, each.verdict, each.checks) for each in again] == [
        (Outcome.PASS, ended.verdict, ended.checks)
    ] * 2
    judged = [verdict for verdict in store.verdicts.search(MODEL).items if verdict.gate_name == WATCH.name]
    assert judged == [ended.verdict]
    other = watch_from_definition({**WATCH.definition(), "min_points": 1})
    assert look(store, now=END, watch=other).outcome is Outcome.REJECT  # another watch judges by itself


def test_two_looks_at_once_record_one_judgement(store: Store, models: tuple[LoggedModel, LoggedModel]) -> None:
    log(store, models[1], 0.01, 0.01)
    with ThreadPoolExecutor(4) as threads:
        found = list(threads.map(lambda n: look(store, now=END + n), range(4)))
    assert found[0].verdict is not None
    assert [each.verdict for each in found] == [found[0].verdict] * 4


def test_what_was_only_recorded_is_rolled_back_by_a_later_look(
    store: Store, models: tuple[LoggedModel, LoggedModel]
) -> None:
    log(store, models[1], 0.9, 0.9)
    judged = look(store, rolls_back=False).verdict
    found = look(store, now=NOW + 13 * HOUR)
    assert judged is not None
    assert found.rollback == last(store)
    assert last(store).verdict_id == judged.verdict_id


def test_a_passing_watch_is_no_ticket_to_promote(store: Store, models: tuple[LoggedModel, LoggedModel]) -> None:
    from headgate.store.errors import PromotionRefused

    log(store, models[1], 0.01, 0.01)
    ended = look(store, now=END)
    assert ended.verdict is not None
    with pytest.raises(PromotionRefused):
        store.promotions.promote(ended.verdict.verdict_id, actor="mallory", now=END)


def test_what_was_measured_before_the_promotion_says_nothing(
    store: Store, models: tuple[LoggedModel, LoggedModel]
) -> None:
    log(store, models[1], 0.9, 0.9, after=-HOUR)
    assert look(store).outcome is Outcome.HOLD


@pytest.mark.parametrize(("when_silent", "holder"), [("fail", 2), ("roll_back", 1)])
def test_a_silent_window_fails_and_rolls_back_if_that_is_asked(
    store: Store, models: tuple[LoggedModel, LoggedModel], when_silent: str, holder: int
) -> None:
    silent = watch_from_definition({**WATCH.definition(), "when_silent": when_silent})
    found = look(store, now=END, watch=silent)
    assert found.outcome is Outcome.ERROR
    assert isinstance(watch_error(found), GateErrored)
    assert last(store).to_version == holder


def test_it_can_be_told_to_record_only(store: Store, models: tuple[LoggedModel, LoggedModel]) -> None:
    log(store, models[1], 0.9, 0.9)
    found = look(store, rolls_back=False)
    assert (found.outcome, found.rollback) == (Outcome.REJECT, None)
    assert "It was not rolled back" in str(watch_error(found))
    assert last(store).to_version == 2


def test_a_first_promotion_is_not_rolled_back_to_nobody(store: Store) -> None:
    model = candidate(store)
    promote(store, model, now=NOW)
    log(store, model, 0.9, 0.9)
    found = look(store)
    assert (found.outcome, found.rollback) == (Outcome.REJECT, None)
    assert last(store).to_version == 1


def test_a_promotion_that_was_followed_by_another_is_looked_after_no_more(
    store: Store, models: tuple[LoggedModel, LoggedModel]
) -> None:
    watched = last(store)
    log(store, models[1], 0.9, 0.9)
    promote(store, candidate(store), now=NOW + 1)
    found = look(store, promotion_id=watched.promotion_id)
    assert found.superseded
    assert watch_error(found) is None
    assert last(store).to_version == 3


def test_it_needs_a_promotion_of_the_target(store: Store, models: tuple[LoggedModel, LoggedModel]) -> None:
    with pytest.raises(NotFound):
        look_after_promotion(store, WATCH, "nobody", CHAMPION, actor="a", now=NOW)
    other = promote(store, candidate(store), target="@shadow", now=NOW)
    with pytest.raises(InvalidInput, match="is of"):
        look(store, promotion_id=other.promotion_id)


def test_watching_goes_on_until_it_is_decided(store: Store, models: tuple[LoggedModel, LoggedModel]) -> None:
    now, waited, looks = NOW, [], []

    def sleep(seconds: float) -> None:
        nonlocal now
        waited.append(seconds)
        now += round(seconds * 1000)
        if len(waited) == 2:
            log(store, models[1], 0.9, 0.9, after=1000)

    found = watch_model(
        store, WATCH, MODEL, CHAMPION, actor="w", every=600.0, on_look=looks.append, clock=lambda: now, sleep=sleep
    )
    assert found.outcome is Outcome.REJECT
    assert waited == [600.0, 600.0]
    assert [each.outcome for each in looks] == [Outcome.HOLD, Outcome.HOLD, Outcome.REJECT]
