"""The pages over a store: what they say, that names can't break out of them, and that their cost is bounded."""

from __future__ import annotations

import math
import re
from html.parser import HTMLParser
from urllib.parse import urljoin

import pytest
import sqlalchemy as sa

from headgate.server.pages.links import Links
from headgate.server.pages.rendering import HEADERS, static_file
from headgate.server.pages.site import ADDRESSES, find
from headgate.store.entities import (
    Dataset,
    DatasetInput,
    LoggedModelStatus,
    Metric,
    ModelOutput,
    RunContext,
    RunStatus,
)
from headgate.store.lineage.svg import COLOURS
from headgate.store.store import Store
from tests.plugin.server.pages.world import CHAMPION, DAG, MODEL, NOW, Training, page_at, train
from tests.store.lineage_world import counted_queries

LINKS = Links("/")
HOSTILE = "<script>alert('x')</script>\"&'><img src=x onerror=alert(1)> Ünïcødé 机器学习 \u202egnp"


class Reading(HTMLParser):
    """The tags, links and words of a page; a tag that is not closed in its place is a mistake."""

    _VOID = ("meta", "link", "br", "img")

    def __init__(self, body: str) -> None:
        super().__init__()
        self.tags: list[str] = []
        self.links: list[str] = []
        self.attributes: set[str] = set()
        self.words = ""
        self._open: list[str] = []
        self.feed(body)
        self.close()
        assert not self._open, self._open

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)
        self.attributes.update(name for name, _ in attrs)
        self.links += [value or "" for name, value in attrs if name == "href"]
        if tag not in self._VOID:
            self._open.append(tag)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)
        self.attributes.update(name for name, _ in attrs)

    def handle_endtag(self, tag: str) -> None:
        assert self._open.pop() == tag, tag

    def handle_data(self, data: str) -> None:
        self.words += f" {' '.join(data.split())}" if data.strip() else ""


def read(store: Store, address: str, status: int = 200) -> Reading:
    page = page_at(store, address)
    assert page.status == status, page.body
    return Reading(page.body)


def pipeline_run(training: Training, dag: str = DAG) -> str:
    return LINKS.pipeline_run("airflow", dag, training.run_id)


def test_production_says_what_stands_where_and_why(store: Store) -> None:
    words = read(store, "/models").words
    assert "version 1 rolled back from version 2" in words
    assert "by ines@example.org: recall fell in clinic B" in words
    assert "@shadow version 2 set by hand No gate decided" in words
    assert "Unguarded" in words
    assert words.index(MODEL) < words.index("churn")  # what stands somewhere comes first
    assert read(store, "/").words == words


def test_a_promotion_is_explained_by_the_checks_of_its_verdict(new_store: Store) -> None:
    train(new_store, 1)
    words = read(new_store, "/models").words
    assert "Promoted 28 d ago by airflow:retrain_tumor_screening: weekly retraining" in words
    assert "pass gate screening : recall >= 0.9 (measured 0.97); auc > champion (measured 0.95)" in words.replace(
        "screening:", "screening :"
    )


def test_a_model_has_its_versions_promotions_and_decisions(store: Store) -> None:
    words = read(store, LINKS.model(MODEL)).words
    assert "Versions 2" in words
    assert "Guarded by gate screening." in words
    assert words.count("rollback") >= 1
    assert "reject" in words
    assert "recall >= 0.9 (measured 0.86)" in words


def test_a_version_has_what_was_logged_with_it(store: Store) -> None:
    words = read(store, LINKS.version(MODEL, 2)).words
    assert f"{MODEL} version 2 @shadow" in words
    assert "recall 0.98 holdout feed1234" in words
    assert "n_estimators 50" in words
    assert "version 1 rollback ines@example.org" in words


def test_a_verdict_has_each_check_with_its_margin_and_what_people_said(
    store: Store, trainings: tuple[Training, ...]
) -> None:
    passed = read(store, LINKS.verdict(trainings[1].verdict.verdict_id)).words
    assert "Pass The candidate may hold @champion of tumor-screening. 2 of 2 blocking checks passed." in passed
    assert "recall >= 0.9 all_of[0] 0.9 0.98 +0.08" in passed
    assert "ines@example.org approve airflow-hitl Recall holds on the new scanner." in passed
    rejected = read(store, LINKS.verdict(trainings[2].verdict.verdict_id)).words
    assert "The candidate may not hold @champion" in rejected
    assert "0.9 0.86 -0.04" in rejected
    assert "Nobody was asked" in rejected


def test_a_run_has_params_metrics_charts_models_data_artifacts_and_attempts(
    store: Store, trainings: tuple[Training, ...]
) -> None:
    reading = read(store, LINKS.run(trainings[1].fits[0].info.run_id))
    assert "n_estimators 50" in reading.words
    assert "loss 0.0473235 step 0 to 59" in reading.words
    assert "gap NaN" in reading.words
    assert "train_rows 18342" in reading.words
    assert "report.html 4.0 KiB" in reading.words
    assert reading.tags.count("figure") == 2
    failed = read(store, LINKS.run(trainings[1].fits[2].info.run_id)).words
    assert "train [2] failed" in failed
    assert "The entry point ended with code 1." in failed


def test_a_run_that_was_retried_leads_to_its_other_attempts(new_store: Store) -> None:
    first, second = (
        new_store.runs.open("0", context=RunContext("airflow", "d", "r", "t", attempt=number), now=NOW).info
        for number in (1, 2)
    )
    old, new = read(new_store, LINKS.run(first.run_id)), read(new_store, LINKS.run(second.run_id))
    assert "A newer attempt took over" in old.words
    assert "Attempts 2" in new.words
    assert f"../runs/{first.run_id}" in new.links


def test_a_pipeline_run_has_its_tasks_decisions_and_promotions(store: Store, trainings: tuple[Training, ...]) -> None:
    words = read(store, pipeline_run(trainings[1])).words
    assert "1 failed, 4 finished" in words
    assert "Decisions of gates" in words
    assert "What it promoted" in words
    assert "evaluate finished" in words
    assert "train [1] finished" in words
    assert "What it promoted" not in read(store, pipeline_run(trainings[2])).words


def test_a_pipeline_has_its_runs_and_a_task_its_own(store: Store, trainings: tuple[Training, ...]) -> None:
    listed = read(store, LINKS.pipeline("airflow", DAG)).words
    assert [listed.index(training.run_id) for training in reversed(trainings)] == sorted(
        listed.index(training.run_id) for training in trainings
    )
    assert read(store, LINKS.task("airflow", DAG, "evaluate")).words.count("finished") == 3


@pytest.mark.parametrize(
    "address",
    [
        LINKS.pipeline("airflow", "nothing"),
        LINKS.pipeline_run("airflow", DAG, "never"),
        LINKS.task("airflow", DAG, "nothing"),
        f"{LINKS.pipeline_run('airflow', DAG, 'never')}/tasks/x/{{MAP_INDEX}}",
    ],
)
def test_what_recorded_nothing_has_a_friendly_page(address: str, store: Store) -> None:
    words = read(store, address).words
    assert "No Headgate runs here yet" in words
    assert "RunProjectOperator" in words


def test_an_empty_store_has_friendly_pages(new_store: Store) -> None:
    assert "No registered models yet" in read(new_store, "/").words
    assert "Nothing was promoted yet." in read(new_store, "/promotions").words


def test_a_task_that_only_refers_to_a_verdict_shows_it(store: Store, trainings: tuple[Training, ...]) -> None:
    from headgate.server.pages.pipelines import task_run_page
    from headgate.server.pages.visit import Visit

    def body(reference: object) -> str:
        visit = Visit("/pipelines/airflow/d/runs/r/tasks/gate/-1", NOW)
        return task_run_page(store, visit, "airflow", "d", "r", "gate", reference=reference).body

    assert "Gate screening" in body({"verdict_id": trainings[0].verdict.verdict_id})
    assert f"{MODEL} version 1" in body({"model_name": MODEL, "version": 1})
    for other in ({"verdict_id": "v-unknown"}, {"verdict_id": 7}, {"model_name": MODEL, "version": 99}, ["x"], None, 3):
        assert "No Headgate runs here yet" in body(other)


def test_mistakes_are_pages_with_a_remedy(store: Store) -> None:
    for address, status in (
        ("/models/unknown", 404),
        (f"/models/{MODEL}/versions/99", 404),
        (f"/models/{MODEL}/versions/latest", 404),
        ("/runs/0", 404),
        ("/verdicts/v-0", 404),
        ("/logged-models/m-0", 404),
        ("/lineage?subject=nonsense", 400),
        ("/lineage", 400),
        ("/promotions?before=yesterday", 400),
        ("/models?page_token=none", 400),
    ):
        assert "What is in production" in read(store, address, status).words


def test_every_link_leads_to_a_page_however_deep_the_page_is(store: Store, trainings: tuple[Training, ...]) -> None:
    base = "http://airflow.example/prefix/headgate"
    seen: set[str] = set()
    waiting = ["/", pipeline_run(trainings[0]), LINKS.pipeline("airflow", DAG)]
    while waiting:
        address = waiting.pop()
        if address in seen:
            continue
        seen.add(address)
        for link in read(store, address).links:
            absolute = urljoin(f"{base}{address}", link)
            assert absolute.startswith(f"{base}/"), (address, link)
            target = absolute.removeprefix(base)
            if not target.startswith("/static/"):
                waiting.append(target)
    kinds = {found[0].path for found in (find(address.partition("?")[0]) for address in seen) if found}
    others = {address.path for address in ADDRESSES if "/tasks/" in address.path}
    assert kinds | others == {address.path for address in ADDRESSES}


def test_pages_load_nothing_from_elsewhere(store: Store, trainings: tuple[Training, ...]) -> None:
    for address in ("/", LINKS.model(MODEL), pipeline_run(trainings[0]), LINKS.lineage(f"{MODEL}{CHAMPION}")):
        reading = read(store, address)
        assert not {"iframe", "img", "form", "object", "embed"} & set(reading.tags)
        assert reading.tags.count("script") == 1
        assert re.search(r'<script src="[./]*static/theme\.js\?v=\w+"></script>', page_at(store, address).body)
        assert not {name for name in reading.attributes if name.startswith("on")} | ({"style"} & reading.attributes)
        assert not [link for link in reading.links if "://" in link]
    assert "url(" not in static_file("headgate.css")
    assert "@import" not in static_file("headgate.css")
    assert "unsafe" not in HEADERS["Content-Security-Policy"]


def test_a_lineage_that_stands_alone_has_the_colours_of_the_pages() -> None:
    light = dict(re.findall(r"--([\w-]+): light-dark\((#\w{6}), #\w{6}\);", static_file("headgate.css")))
    assert COLOURS.items() <= light.items()


@pytest.mark.parametrize("name", [HOSTILE, "x" * 240], ids=["hostile", "long"])
def test_names_are_text_never_markup(name: str, new_store: Store) -> None:
    registered = re.sub("[/:]", "", name)[:200]
    training = train(new_store, 1, dag=name[:200], model_name=registered, run_id=name[:100], sweep=1)
    run_id = training.evaluate.info.run_id
    new_store.registry.update_model(registered, description=name, now=NOW)
    new_store.registry.set_model_tag(registered, "tag", name)
    new_store.tags.set(run_id, {"said": name, "mlflow.note.content": name})
    new_store.params.log(run_id, {"param": name})
    key = re.sub(r"[^\w ]", " ", name)[:200]
    new_store.metrics.log(run_id, [Metric(key, math.inf if step == 3 else step, NOW + step, step) for step in range(9)])
    new_store.datasets.log_inputs(
        run_id, [DatasetInput(Dataset(name[:200], "d1", "local", f"s3://key:s3cret@b/{name}"))]
    )
    new_store.runs.update(run_id, name=name[:200])
    links = [
        "/",
        LINKS.promotions,
        LINKS.model(registered),
        LINKS.version(registered, 1),
        LINKS.verdict(training.verdict.verdict_id),
        LINKS.logged_model(training.models[0].model_id),
        LINKS.run(run_id),
        LINKS.pipeline("airflow", name[:200]),
        LINKS.pipeline_run("airflow", name[:200], name[:100]),
        LINKS.task("airflow", name[:200], "evaluate"),
        LINKS.lineage(training.parent.info.run_id),
    ]
    for address in links:
        reading = read(new_store, address)
        assert reading.tags.count("script") == 1, address  # our own
        assert "img" not in reading.tags, address
        assert not {attribute for attribute in reading.attributes if attribute.startswith("on")}, address
    assert name[:100] in page_text(new_store, LINKS.pipeline_run("airflow", name[:200], name[:100]))
    assert "s3cret" not in page_at(new_store, LINKS.run(run_id)).body


def page_text(store: Store, address: str) -> str:
    parts: list[str] = []
    parser = HTMLParser()
    parser.handle_data = parts.append  # type: ignore[method-assign]
    parser.feed(page_at(store, address).body)
    return "".join(parts)


def test_metrics_that_are_no_numbers_are_said(new_store: Store) -> None:
    run = new_store.runs.open("0", now=NOW).info.run_id
    values = {"nan": math.nan, "up": math.inf, "down": -math.inf, "huge": 1e308, "tiny": 5e-324}
    new_store.metrics.log(run, [Metric(key, value, NOW) for key, value in values.items()])
    curve = [math.nan, 1e308, -1e308, math.inf, 0.0, math.nan]
    new_store.metrics.log(run, [Metric("curve", value, NOW + n, n) for n, value in enumerate(curve)])
    new_store.metrics.log(run, [Metric("nothing", math.nan, NOW + n, n) for n in range(4)])
    reading = read(new_store, LINKS.run(run))
    for said in ("nan NaN", "up ∞", "down -∞", "huge 1e+308", "tiny 4.94066e-324", "3 gaps", "4 gaps"):
        assert said in reading.words, said
    assert "nan" not in re.search(r'<path d="[^"]*"/>', page_at(new_store, LINKS.run(run)).body)[0]  # type: ignore[index]


def test_statements_do_not_grow_with_the_children(new_store: Store) -> None:
    counts: dict[str, list[int]] = {}
    for number, children in ((1, 3), (2, 60)):
        training = wide_training(new_store, number, children)
        pages = {
            "pipeline run": LINKS.pipeline_run("airflow", f"dag{number}", "r"),
            "pipeline": LINKS.pipeline("airflow", f"dag{number}"),
            "task": LINKS.task("airflow", f"dag{number}", "fit"),
            "task run": f"{LINKS.pipeline_run('airflow', f'dag{number}', 'r')}/tasks/fit",
            "run": LINKS.run(training),
            "lineage": LINKS.lineage(training),
            "model": LINKS.model(f"model{number}"),
        }
        for name, address in pages.items():
            with counted_queries(new_store) as statements:
                assert page_at(new_store, address).status == 200
            counts.setdefault(name, []).append(len(statements))
    assert {name: few for name, (few, _) in counts.items()} == {name: many for name, (_, many) in counts.items()}
    assert all(few <= 45 for name, (few, _) in counts.items() if name != "lineage"), counts


def test_statements_do_not_grow_with_the_models(new_store: Store) -> None:
    train(new_store, 1, sweep=1)
    with counted_queries(new_store) as few:
        page_at(new_store, "/models")
    for number in range(30):
        new_store.registry.create_model(f"m{number}", now=NOW)
        new_store.registry.create_version(f"m{number}", "/files", now=NOW)
        new_store.registry.set_alias(f"m{number}", "champion", 1)
    train(new_store, 2, sweep=1, model_name="another")
    with counted_queries(new_store) as many:
        assert page_at(new_store, "/models").status == 200
    assert len(few) == len(many)


def wide_training(store: Store, number: int, children: int) -> str:
    """Record a pipeline run with many mapped runs, each of which makes a version of a model; return the parent."""

    def opened(task: str | None, index: int = -1, parent: str | None = None) -> str:
        context = RunContext("airflow", f"dag{number}", "r", task, index)
        return store.runs.open("0", context=context, parent_run_id=parent, now=NOW + max(index, 0)).info.run_id

    parent = opened(None)
    for index in range(children):
        run_id = opened("fit", index, parent)
        store.metrics.log(run_id, [Metric("f1", index / 100, NOW)])
        model = store.logged_models.create("0", name="forest", source_run_id=run_id, now=NOW)
        store.logged_models.finalize(model.model_id, LoggedModelStatus.READY, artifact_digest="ab" * 32, now=NOW)
        store.datasets.log_outputs(run_id, [ModelOutput(model.model_id)])
        if index == 0:
            store.registry.get_or_create_model(f"model{number}", now=NOW)
        store.registry.create_version(f"model{number}", model.model_uri, model_id=model.model_id, now=NOW)
        store.runs.finish(run_id, RunStatus.FINISHED, end_time=NOW + 1000)
    return parent


def test_a_big_lineage_is_cut_off_and_says_so(new_store: Store) -> None:
    parent = wide_training(new_store, 1, 120)
    reading = read(new_store, LINKS.lineage(parent))
    assert "cut off" in reading.words
    assert "At most 150 things are drawn" in reading.words
    assert reading.tags.count("g") == 150


def test_the_lineage_is_told_in_words_too(store: Store) -> None:
    reading = read(store, LINKS.lineage(f"{MODEL}{CHAMPION}"))
    assert f"alias {MODEL}@champion version {MODEL} version 1 (holds)" in reading.words
    assert "cut off" not in reading.words


def test_artifacts_that_can_not_be_listed_leave_the_page_whole(new_store: Store) -> None:
    run = new_store.runs.open("0", now=NOW).info.run_id
    assert "It stored no files" in read(new_store, LINKS.run(run)).words
    with new_store.database.write() as connection:
        connection.execute(sa.text("UPDATE headgate_run SET artifact_uri = 'gopher://user:s3cret@nowhere/x'"))
    words = read(new_store, LINKS.run(run)).words
    assert "Artifacts can't be kept at gopher: URIs." in words
    assert "s3cret" not in words


def test_names_with_slashes_and_percent_signs_are_found_again(new_store: Store) -> None:
    names = ("flow/with slash", "100%", "%2F", "a%25b", "ü/ö", "..", "plus+and&amp")
    for name in names:
        new_store.runs.open("0", context=RunContext("prefect", name, "run/1%", "task a/b"), now=NOW)
    for name in names:
        address = LINKS.pipeline_run("prefect", name, "run/1%")
        assert "task a/b" in read(new_store, address).words, name
        assert "task a/b running" in read(new_store, f"{address}/tasks/task%20a%252Fb/x").words
