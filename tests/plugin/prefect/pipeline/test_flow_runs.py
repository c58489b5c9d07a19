"""Flow runs of pipelines on a real server: the records of ``headgate run``, whatever comes in between."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest
from prefect.client.orchestration import get_client

from headgate.flows import run_pipeline
from headgate.prefect import pipeline_flow
from headgate.prefect.artifacts.publish import artifact_key, newest_artifacts
from headgate.store.entities import RunContext, RunStatus
from headgate.store.errors import EntryPointFailed, GateRejected
from tests.pipeline_records import records_of
from tests.plugin.prefect.answers import answering
from tests.plugin.prefect.projects import new_name
from tests.screening import SCREENING, WriteFiles

if TYPE_CHECKING:
    from prefect.client.schemas.objects import FlowRun, State

    from headgate.store.entities import Run
    from headgate.store.store import Store
    from tests.plugin.prefect.server import PrefectServer

pytestmark = pytest.mark.usefixtures("prefect_server")

# Steps that say in a file how often they ran.
COUNTING = {
    "count.sh": 'echo "$1" >> "$2/ran.txt"\n',
    "fails_once.sh": 'echo fails >> "$1/ran.txt"; test -e "$1/go" || { touch "$1/go"; exit 1; }\n',
    "MLproject": """\
        entry_points:
          count: {parameters: {name: string, to: path}, command: "sh count.sh {name} {to}"}
          fail: {parameters: {to: path}, command: "sh fails_once.sh {to}"}
        """,
    "pipeline.yaml": """\
        name: counting
        parameters: {to: {type: path, default: .}}
        steps:
          first: {entry_point: count, parameters: {name: first, to: "{{ params.to }}"}}
          swept:
            entry_point: count
            parameters: {to: "{{ params.to }}"}
            sweep: {name: [a, b]}
            needs: [first]
          shaky: {entry_point: fail, parameters: {to: "{{ params.to }}"}, needs: [swept]}
          last: {entry_point: count, parameters: {name: last, to: "{{ params.to }}"}, needs: [shaky]}
          beside: {entry_point: count, parameters: {name: beside, to: "{{ params.to }}"}}
        """,
}


def ended(flow: Any, **arguments: Any) -> tuple[State[Any], FlowRun]:
    """Run a flow to its end; return the state, and the flow run as the server has it."""
    state = flow(**arguments, return_state=True)
    with get_client(sync_client=True) as client:
        return state, client.read_flow_run(state.state_details.flow_run_id)


def record(store: Store, flow_run: FlowRun, name: str) -> Run:
    """The run of the pipeline that a flow run was."""
    found = store.runs.find_by_context(RunContext("prefect", name, str(flow_run.id)))
    assert found is not None
    return found


def test_flow_runs_leave_the_records_of_headgate_run(store: Store, other_store: Store, write_files: WriteFiles) -> None:
    """A first champion, then one that beats it on other data, then a rejected one."""
    folder = write_files(SCREENING)
    flow = pipeline_flow(folder, name=new_name())
    for given in ({}, {"quality": 0.93, "digest": "d2"}, {"quality": 0.8, "digest": "d2"}):
        whole = run_pipeline(folder, store=other_store, parameters=given, max_parallel=1)
        state, flow_run = ended(flow, **given)
        parent = record(store, flow_run, flow.name)
        assert records_of(store, parent) == records_of(other_store, other_store.runs.get(whole.run_id))
        assert parent.info.status is RunStatus.FINISHED
        assert parent.tags["prefect.flow_run"] == str(flow_run.id)
        rejected = given.get("quality") == 0.8
        assert (state.type.value, state.name) == (("FAILED", "Rejected") if rejected else ("COMPLETED", "Completed"))
    assert isinstance(state.result(raise_on_failure=False), GateRejected)
    for task, count in (("train", 6), ("evaluate", 3), ("evaluate.champion", 1)):
        shown = newest_artifacts(artifact_key("run", flow.name, task), 10)
        assert (task, len(shown)) == (task, count)
    assert "| recall | 0.82" in str(newest_artifacts(artifact_key("run", flow.name, "evaluate"), 1)[0].data)
    names = _task_runs(flow_run)
    assert names == {
        "train[0] depth=1": "COMPLETED",
        "train[1] depth=2": "COMPLETED",
        "train.choose": "COMPLETED",
        "evaluate": "COMPLETED",
        "evaluate.champion": "COMPLETED",
        "promotion.gate": "FAILED",
    }


@pytest.mark.parametrize(("on_reject", "ends"), [("skip", "CANCELLED"), ("succeed", "COMPLETED")])
def test_a_no_ends_the_flow_run_as_it_was_told(
    store: Store, write_files: WriteFiles, on_reject: str, ends: str
) -> None:
    flow = pipeline_flow(write_files(SCREENING), on_reject=on_reject)
    state, flow_run = ended(flow, quality=0.5)
    assert (state.type.value, state.name) == (ends, "Rejected")
    assert flow_run.state_name == "Rejected"
    assert record(store, flow_run, "screening").info.status is RunStatus.FINISHED
    assert store.promotions.holder("screening", "@champion") is None


@pytest.mark.oldest_prefect
def test_a_person_has_to_agree(store: Store, write_files: WriteFiles, prefect_server: PrefectServer) -> None:
    flow = pipeline_flow(write_files(SCREENING), name="screening-asks", approval={"poll_seconds": 0.3})
    with answering(prefect_server, flow.name, decision="approve", name="Ann", reason="holdout looks right"):
        state, flow_run = ended(flow)
    assert state.is_completed(), state
    (promotion,) = store.promotions.history("screening", "@champion")
    assert promotion.approved_by == "Ann"
    assert {"promotion.gate", "promotion.approve", "promotion.promote"} <= set(_task_runs(flow_run))


def test_what_does_not_depend_on_a_failed_step_goes_on_and_a_retry_of_the_flow_runs_nothing_twice(
    store: Store, write_files: WriteFiles
) -> None:
    folder = write_files(COUNTING)
    state, flow_run = ended(pipeline_flow(folder))
    assert isinstance(state.result(raise_on_failure=False), EntryPointFailed)
    assert sorted((folder / "ran.txt").read_text().split()) == ["a", "b", "beside", "fails", "first"]
    assert _task_runs(flow_run) == {
        "first": "COMPLETED",
        "swept[0] name=a": "COMPLETED",
        "swept[1] name=b": "COMPLETED",
        "shaky": "FAILED",
        "last": "PENDING",
        "beside": "COMPLETED",
    }
    assert record(store, flow_run, "counting").info.status is RunStatus.FAILED

    (folder / "go").unlink()
    (folder / "ran.txt").unlink()
    state, flow_run = ended(pipeline_flow(folder, retries=1))
    assert state.is_completed(), state
    assert flow_run.run_count == 2
    ran = (folder / "ran.txt").read_text().split()
    assert sorted(ran) == ["a", "b", "beside", "fails", "fails", "first", "last"]
    parent = record(store, flow_run, "counting")
    assert parent.info.status is RunStatus.FINISHED
    attempts = store.runs.children(parent.info.run_id, all_attempts=True)
    assert sorted((run.context.task, run.context.attempt) for run in attempts) == [
        ("beside", 1),
        ("first", 1),
        ("last", 1),
        ("shaky", 1),
        ("shaky", 2),
        ("swept", 1),
        ("swept", 1),
    ]


def test_a_steps_retries_are_attempts_and_spent_on_what_a_retry_may_cure(store: Store, write_files: WriteFiles) -> None:
    text = COUNTING["pipeline.yaml"].replace("needs: [swept]}", "needs: [swept], retries: 2}")
    folder = write_files({**COUNTING, "pipeline.yaml": text})
    state, flow_run = ended(pipeline_flow(folder))
    assert state.is_completed(), state
    parent = record(store, flow_run, "counting")
    tries = [
        run.context.attempt
        for run in store.runs.children(parent.info.run_id, all_attempts=True)
        if run.context.task == "shaky"
    ]
    assert tries == [1, 2]


def test_independent_steps_run_side_by_side_and_no_more_than_may(store: Store, write_files: WriteFiles) -> None:
    """Each of two steps waits for the other to begin; with one slot they would wait for ever."""
    meet = 'touch "$1"; for _ in $(seq 3000); do test -e "$2" && exit 0; sleep 0.1; done; exit 1\n'
    pipeline = """\
        name: meeting
        steps:
          a: {entry_point: a.sh}
          b: {entry_point: b.sh}
        """
    here = write_files({"pipeline.yaml": pipeline})
    one, other = here / "a.began", here / "b.began"
    write_files({"a.sh": f"set -- {one} {other}\n{meet}", "b.sh": f"set -- {other} {one}\n{meet}"})
    state, _ = ended(pipeline_flow(here, max_parallel=2))
    assert state.is_completed(), state
    busy = """\
        mkdir {lock} || exit 1; sleep 0.3; rmdir {lock}
        """
    write_files({"a.sh": busy.format(lock=here / "lock"), "b.sh": busy.format(lock=here / "lock")})
    state, _ = ended(pipeline_flow(here, max_parallel=1))
    assert state.is_completed(), state


def test_a_wrong_parameter_fails_the_flow_run_before_anything_is_recorded(
    store: Store, write_files: WriteFiles
) -> None:
    state, flow_run = ended(pipeline_flow(write_files(SCREENING)), quality="good")
    assert state.is_failed()
    assert store.runs.find_by_context(RunContext("prefect", "screening", str(flow_run.id))) is None


def test_what_an_entry_point_prints_is_in_the_log_of_its_task_run(write_files: WriteFiles, store: Store) -> None:
    folder = write_files(
        {"pipeline.yaml": "name: told\nsteps: {a: {entry_point: a.sh}}\n", "a.sh": "echo one; echo two >&2\n"}
    )
    state, flow_run = ended(pipeline_flow(folder))
    assert state.is_completed()
    assert {"one", "two"} <= _logged(flow_run)


def _task_runs(flow_run: FlowRun) -> dict[str, str]:
    """Name → state type of a flow run's task runs, once the server has them all."""
    from prefect.client.schemas.filters import FlowRunFilter, FlowRunFilterId

    from tests.plugin.prefect.server import wait_until

    found: dict[str, str] = {}

    def settled() -> bool:
        with get_client(sync_client=True) as client:
            runs = client.read_task_runs(flow_run_filter=FlowRunFilter(id=FlowRunFilterId(any_=[flow_run.id])))
        found.clear()
        found.update({_name(run): run.state_type.value for run in runs if run.state_type is not None})
        return bool(found) and "RUNNING" not in found.values() and not _lagging(found)

    wait_until(settled, lambda: f"end of the task runs: {found}")
    return dict(found)


def _name(run: Any) -> str:
    """What a task run is called; Prefect adds digits to one that never began."""
    return str(run.name.rpartition("-")[0] if run.state_type.value == "PENDING" else run.name)


def _lagging(found: dict[str, str]) -> bool:
    """Whether states are still on their way: a task run that nothing keeps from running is PENDING for a moment."""
    return "PENDING" in found.values() and "FAILED" not in found.values()


def _logged(flow_run: FlowRun) -> set[str]:
    from prefect.client.schemas.filters import LogFilter, LogFilterFlowRunId

    from tests.plugin.prefect.server import wait_until

    lines: set[str] = set()

    def arrived() -> bool:
        with get_client(sync_client=True) as client:
            logs = client.read_logs(LogFilter(flow_run_id=LogFilterFlowRunId(any_=[flow_run.id])))
        lines.update(log.message for log in logs)
        return {"one", "two"} <= lines

    wait_until(arrived, lambda: f"line in the log: {sorted(lines)}")
    return lines
