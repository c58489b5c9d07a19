"""DAG runs of pipelines, with ``dag.test()``: the records are those of ``headgate run``."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

from airflow.sdk import DAG, Param, task

from headgate.airflow import PipelineDag, PipelineTaskGroup
from headgate.flows import run_pipeline
from headgate.store.entities import Run, RunContext, RunStatus
from tests.pipeline_records import records_of
from tests.plugin.airflow.people import PATIENCE, Person
from tests.screening import SCREENING, WriteFiles

if TYPE_CHECKING:
    from headgate.store.store import Store
    from tests.plugin.airflow.dag_runs import DagRun

RunDag = Callable[..., "DagRun"]
JUST_TRAIN = """\
    name: screening
    parameters: {quality: 0.5}
    steps:
      train: {entry_point: both, parameters: {quality: "{{ params.quality }}"}}
    promote: {model: screening, candidate: "{{ steps.train.model }}", to: "@champion", gate: gate.yaml}
    """


def parent_of(store: Store, ran: DagRun) -> Run:
    run = store.runs.find_by_context(RunContext("airflow", ran.dag_id, ran.run_id))
    assert run is not None
    return run


def tries_of(ran: DagRun, task_id: str) -> int:
    from airflow.models.taskinstance import TaskInstance
    from airflow.utils.session import create_session

    with create_session() as session:
        found = session.query(TaskInstance).filter_by(dag_id=ran.dag_id, run_id=ran.run_id, task_id=task_id).one()
        return int(found.try_number)


def clear_and_run(dag: DAG, ran: DagRun, task_id: str) -> DagRun:
    """Clear a task and what follows it, as Airflow's UI does, setups and teardowns included; and run that."""
    from airflow.models.dagbag import DBDagBag
    from airflow.utils.session import create_session

    from tests.plugin.airflow.dag_runs import clear_dag_run, finish_dag_run

    with create_session() as session:
        scheduled = DBDagBag().get_latest_version_of_dag(dag.dag_id, session=session)
        assert scheduled is not None
        subset = scheduled.partial_subset({task_id}, include_downstream=True, include_upstream=False)
    clear_dag_run(dag, ran.run_id, *subset.task_dict)
    return finish_dag_run(dag, ran.run_id)


def test_the_records_are_those_of_headgate_run(
    store: Store, other_store: Store, run_dag: RunDag, write_files: WriteFiles
) -> None:
    """A first champion, one that beats it on other data (so that it is measured there first), one that is rejected."""
    folder = write_files(SCREENING)
    conf: dict[str, Any]
    for conf in ({}, {"quality": 0.93, "digest": "d2"}, {"quality": 0.8, "digest": "d2"}):
        whole = run_pipeline(folder, store=other_store, parameters=conf, max_parallel=1)
        ran = run_dag(PipelineDag(folder, dag_id="records"), run_conf=conf)
        parent = parent_of(store, ran)
        assert records_of(store, parent) == records_of(other_store, other_store.runs.get(whole.run_id))
        assert parent.info.status is RunStatus.FINISHED


def test_a_person_who_is_asked_decides_whether_it_is_promoted(
    store: Store, run_dag: RunDag, write_files: WriteFiles
) -> None:
    folder = write_files({**SCREENING, "pipeline.yaml": JUST_TRAIN})
    for option, ends in (("Reject", "skipped"), ("Approve", "success")):
        person = Person("alice", option, "looked at it")
        dag = PipelineDag(folder, dag_id=f"asks_{option}", approval=True, on_reject="skip")
        thread = person.answers(dag.dag_id, "promotion.approve")
        ran = run_dag(dag, run_conf={"quality": 0.95})
        thread.join(PATIENCE)
        assert person.failed is None, person.failed
        states = [ran.states[f"promotion.{name}"] for name in ("gate", "approve", "promote")]
        assert states == ["success", ends, ends]
        assert parent_of(store, ran).info.status is RunStatus.FINISHED
    (promotion,) = store.promotions.history("screening")
    assert (promotion.approved_by, promotion.to_version) == ("alice", 1)


def test_a_rejected_candidate_ends_the_gate_as_it_was_told(
    store: Store, run_dag: RunDag, write_files: WriteFiles
) -> None:
    """The pipeline did all it was asked to, so its run is FINISHED, whatever colour the DAG run has."""
    folder = write_files({**SCREENING, "pipeline.yaml": JUST_TRAIN})
    ends = {
        "fail": ("failed", "failed", "upstream_failed"),
        "skip": ("success", "skipped", "skipped"),
        "succeed": ("success", "success", "success"),
    }
    for on_reject, expected in ends.items():
        ran = run_dag(PipelineDag(folder, dag_id=f"rejected_{on_reject}", on_reject=on_reject))
        assert (ran.state, ran.states["promotion.gate"], ran.states["promotion.promote"]) == expected
        said = ran.xcom("promotion.gate")
        assert (said["outcome"], said["model_name"]) == ("reject", "screening")
        assert said["reasons"]
        parent = parent_of(store, ran)
        assert parent.info.status is RunStatus.FINISHED
        assert "headgate.statusMessage" not in parent.tags
    assert store.promotions.holder("screening", "@champion") is None


def test_a_backfill_does_not_displace_a_newer_champion(store: Store, run_dag: RunDag, write_files: WriteFiles) -> None:
    folder = write_files({**SCREENING, "pipeline.yaml": JUST_TRAIN.replace("quality: 0.5", "quality: 0.95")})
    newer, older = datetime(2026, 6, 1, tzinfo=UTC), datetime(2026, 1, 1, tzinfo=UTC)
    first = run_dag(PipelineDag(folder, dag_id="backfill"), logical_date=newer)
    assert first.state == "success"
    promoted = first.xcom("promotion.promote")
    assert (promoted["model_name"], promoted["target"], promoted["version"]) == ("screening", "@champion", 1)
    info = parent_of(store, first).info
    assert info.context.logical_date == int(newer.timestamp() * 1000)

    better = {"quality": 0.99}
    second = run_dag(PipelineDag(folder, dag_id="backfill"), logical_date=older, run_conf=better)
    assert (second.state, second.states["promotion.gate"], second.states["promotion.promote"]) == (
        *("failed", "success"),
        "failed",
    )
    parent = parent_of(store, second)
    assert parent.info.status is RunStatus.FAILED
    assert "was not promoted" in parent.tags["headgate.statusMessage"]
    holder = store.promotions.holder("screening", "@champion")
    assert holder is not None
    assert holder.version == 1


def test_a_failed_step_stops_what_depends_on_it_and_nothing_else(
    store: Store, run_dag: RunDag, write_files: WriteFiles
) -> None:
    """What a retry may cure is tried again; what it can't is not."""
    folder = write_files(
        {
            "pipeline.yaml": """\
                name: failing
                steps:
                  flaky: {entry_point: flaky.sh, retries: 1}
                  hopeless:
                    project: hopeless
                    parameters: {n: "{{ steps.flaky.run_id }}"}
                    retries: 1
                  after: {entry_point: fine.sh, needs: hopeless}
                  beside: {entry_point: fine.sh}
                """,
            "flaky.sh": "[ -e seen ] || { touch seen; exit 1; }\n",
            "fine.sh": "true\n",
            # The value of `n` is a run's id, which is no number: nothing that another try would change.
            "hopeless/MLproject": 'entry_points: {main: {parameters: {n: int}, command: "echo {n}"}}\n',
        }
    )
    dag = PipelineDag(folder, default_args={"retry_delay": timedelta(0)})
    ran = run_dag(dag)
    assert (ran.state, ran.states) == (
        "failed",
        {
            "pipeline.open": "success",
            "flaky": "success",
            "hopeless": "failed",
            "after": "upstream_failed",
            "beside": "success",
            "pipeline.close": "success",
        },
    )
    parent = parent_of(store, ran)
    assert parent.info.status is RunStatus.FAILED
    assert parent.tags["headgate.statusMessage"] == "Not every step has finished: hopeless, after."
    context = RunContext("airflow", ran.dag_id, ran.run_id, "flaky")
    assert [(run.context.attempt, run.status) for run in store.runs.attempts(context)] == [
        (1, RunStatus.FAILED),
        (2, RunStatus.FINISHED),
    ]
    assert tries_of(ran, "hopeless") == 1


def test_a_group_takes_what_other_tasks_return(store: Store, run_dag: RunDag, write_files: WriteFiles) -> None:
    folder = write_files({**SCREENING, "pipeline.yaml": SCREENING["pipeline.yaml"].replace("[1, 2]", "[2]")})
    seen: dict[str, Any] = {}
    with DAG("nightly", params={"quality": Param(0.93)}) as dag:

        @task
        def newest() -> str:
            return "d7"

        @task
        def report(model: dict[str, Any], promotion: dict[str, Any]) -> None:
            seen.update(model=model, promotion=promotion)

        group = PipelineTaskGroup(
            folder, group_id="weekly", parameters={"digest": newest(), "quality": "{{ params.quality }}"}
        )
        tasks = group.pipeline_tasks
        report(tasks.steps["train"].output, tasks.promote.output)
    ran = run_dag(dag)
    assert ran.state == "success", ran.states
    whole = parent_of(store, ran)
    run = store.runs.find_by_context(RunContext("airflow", "nightly", ran.run_id, "weekly"))
    assert run is not None
    assert (run.info.parent_run_id, run.info.name, run.info.status) == (
        whole.info.run_id,
        "screening",
        RunStatus.FINISHED,
    )
    assert run.params == {"quality": "0.93", "digest": "d7"}
    children = {child.context.task: child for child in store.runs.children(run.info.run_id)}
    assert set(children) == {"weekly.train", "weekly.evaluate"}
    assert store.runs.get(children["weekly.evaluate"].run_id).params["digest"] == "d7"
    assert seen["model"]["run_id"] == children["weekly.train"].run_id
    assert seen["model"]["map_index"] == 0
    assert seen["promotion"]["model_id"] == seen["model"]["model_ids"][0]
    (verdict,) = store.verdicts.search(run_id=run.info.run_id).items
    assert verdict.verdict_id == seen["promotion"]["verdict_id"]
    assert whole.info.status is RunStatus.FINISHED


def test_a_cleared_step_is_a_new_attempt_and_finished_steps_stay(
    store: Store, run_dag: RunDag, write_files: WriteFiles
) -> None:
    folder = write_files(
        {
            "pipeline.yaml": """\
                name: cleared
                steps:
                  first: {entry_point: fine.sh}
                  second: {entry_point: second.sh, needs: first}
                """,
            "fine.sh": "true\n",
            "second.sh": "[ -e repaired ]\n",
        }
    )
    ran = run_dag(PipelineDag(folder))
    assert (ran.states["first"], ran.states["second"], ran.states["pipeline.close"]) == ("success", "failed", "success")
    assert parent_of(store, ran).info.status is RunStatus.FAILED
    (folder / "repaired").touch()
    again = clear_and_run(PipelineDag(folder), ran, "second")
    assert again.run_id == ran.run_id
    assert set(again.states.values()) == {"success"}
    attempts = {
        step: [run.status for run in store.runs.attempts(RunContext("airflow", "cleared", ran.run_id, step))]
        for step in ("first", "second")
    }
    assert attempts == {"first": [RunStatus.FINISHED], "second": [RunStatus.FAILED, RunStatus.FINISHED]}
    parent = parent_of(store, again)
    assert parent.info.status is RunStatus.FINISHED
    assert "headgate.statusMessage" not in parent.tags


def test_the_promotion_of_a_group_is_not_made_again_after_a_clear(
    store: Store, run_dag: RunDag, write_files: WriteFiles
) -> None:
    """Even when somebody else has been promoted since: a clear is no way back."""
    folder = write_files({**SCREENING, "pipeline.yaml": JUST_TRAIN})

    def dag() -> DAG:
        with DAG("twice", params={"quality": Param(0.91)}) as made:
            PipelineTaskGroup(folder, parameters={"quality": "{{ params.quality }}"})
        return made

    first = run_dag(dag())
    promoted = first.xcom("screening.promotion.promote")
    second = run_dag(dag(), run_conf={"quality": 0.99})
    assert second.xcom("screening.promotion.promote")["version"] == 2
    again = clear_and_run(dag(), first, "screening.promotion.gate")
    assert again.state == "success", again.states
    assert again.xcom("screening.promotion.promote") == promoted
    assert len(store.promotions.history("screening")) == 2
