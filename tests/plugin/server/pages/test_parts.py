"""What pages are made of: numbers and times in words, charts, timelines, and who may read what."""

from __future__ import annotations

import math
import re

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from headgate.server.pages import formats
from headgate.server.pages.charts import HEIGHT, WIDTH, chart
from headgate.server.pages.links import Links, segment, text_of
from headgate.server.pages.timeline import WIDTH as BAR_WIDTH
from headgate.server.pages.timeline import bars
from headgate.store.entities import LifecycleStage, Metric, RunInfo, RunStatus

ANY_FLOAT = st.floats(allow_nan=True, allow_infinity=True)
# A busy machine is slow, not wrong.
patient = settings(deadline=None, suppress_health_check=[HealthCheck.too_slow])
NUMBER = re.compile(r"-?\d+\.\d+")


@pytest.mark.parametrize(
    ("value", "said"),
    [
        *((None, formats.NOTHING), (0.0, "0"), (-0.04, "-0.04"), (1 / 3, "0.333333"), (1e21, "1e+21")),
        *((math.nan, "NaN"), (math.inf, "∞"), (-math.inf, "-∞"), (18342.0, "18342")),
    ],
)
def test_numbers(value: float | None, said: str) -> None:
    assert formats.number(value) == said


def test_differences_have_a_sign() -> None:
    assert [formats.signed(value) for value in (0.5, -0.5, 0.0, None)] == ["+0.5", "-0.5", "±0", formats.NOTHING]


@pytest.mark.parametrize(
    ("milliseconds", "said"),
    [
        *((None, formats.NOTHING), (-5, "0 ms"), (999, "999 ms"), (61_000, "1 min 1 s"), (1500, "1.5 s")),
        *((3_600_000, "1 h 0 s"), (90_061_000, "1 d 1 h")),
    ],
)
def test_durations(milliseconds: int | None, said: str) -> None:
    assert formats.duration(milliseconds) == said


def test_times_that_no_calendar_has_are_still_shown() -> None:
    assert formats.time(0) == "1970-01-01 00:00:00 UTC"
    assert formats.time(10**18) == f"{10**18} ms"
    assert formats.machine_time(10**18) == ""
    assert formats.ago(10**18, 0).startswith("in ")


@pytest.mark.parametrize(
    ("passed", "said"), [(0, "just now"), (-1, "in a moment"), (120_000, "2 min ago"), (-7_200_000, "in 2 h")]
)
def test_how_long_ago(passed: int, said: str) -> None:
    assert formats.ago(10_000_000 - passed, 10_000_000) == said


def test_sizes_ids_and_counts() -> None:
    assert [formats.size(count) for count in (None, 0, 1023, 1536, 5 * 2**40)] == [
        *(formats.NOTHING, "0 B", "1023 B", "1.5 KiB", "5.0 TiB")
    ]
    assert formats.short_id("m-0123456789") == "m-01234567"
    assert formats.short_id("0123456789") == "01234567"
    assert [formats.count(1, "run"), formats.count(2000, "run")] == ["1 run", "2,000 runs"]


@patient
@given(st.lists(st.tuples(st.integers(-(2**40), 2**40), ANY_FLOAT), min_size=1, max_size=40))
def test_a_chart_stays_within_its_box_whatever_was_logged(points: list[tuple[int, float]]) -> None:
    drawn = chart("m", [Metric("m", value, 0, step) for step, value in sorted(points, key=lambda each: each[0])])
    numbers = [float(number) for number in NUMBER.findall(drawn.path)]
    assert all(0 <= x <= WIDTH for x in numbers[::2])
    assert all(0 <= y <= HEIGHT for y in numbers[1::2])
    assert len(numbers) // 2 + drawn.gaps == len(points)
    assert "nan" not in drawn.path
    assert "inf" not in drawn.path


def test_a_chart_breaks_where_a_value_is_missing() -> None:
    values = [1.0, math.nan, 2.0, 3.0, math.inf]
    drawn = chart("m", [Metric("m", value, 0, step) for step, value in enumerate(values)])
    assert drawn.path.count("M") == 2
    assert (drawn.gaps, drawn.smallest, drawn.largest) == (2, 1.0, 3.0)


def info(run_id: str, start: int, end: int | None) -> RunInfo:
    return RunInfo(run_id, "0", "run", RunStatus.RUNNING, start, end, LifecycleStage.ACTIVE, "/artifacts")


@patient
@given(st.lists(st.tuples(st.integers(0, 10**6), st.none() | st.integers(-100, 10**6)), max_size=12))
def test_bars_lie_within_the_time_of_the_whole(spans: list[tuple[int, int | None]]) -> None:
    infos = [info(str(n), start, None if length is None else start + length) for n, (start, length) in enumerate(spans)]
    for place in bars(infos, 2 * 10**6).values():
        assert 0 <= place.x <= place.x + place.width <= BAR_WIDTH + 1e-6


@patient
@given(st.text(min_size=1))
def test_any_name_is_one_segment_of_a_path(name: str) -> None:
    from urllib.parse import unquote

    if "\ud800" <= max(name) <= "\udfff" or any("\ud800" <= letter <= "\udfff" for letter in name):
        return  # no text that a store or a URL can hold
    encoded = segment(name)
    assert "/" not in unquote(encoded)
    assert text_of(unquote(encoded)) == name


def test_links_are_relative_to_the_page_that_links() -> None:
    assert Links.seen_from("/").models == "./models"
    assert Links.seen_from("/models").models == "./models"
    assert Links.seen_from("/models/a/versions/1").run("0") == "../../../runs/0"
