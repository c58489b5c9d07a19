"""What a flow says of itself: parameters, schedules, and where a deployed run finds it. Nothing runs here."""

from __future__ import annotations

import sys
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest
from prefect.exceptions import ParameterTypeError
from prefect.flows import load_flow_from_entrypoint
from prefect.schedules import Cron

from headgate.flows import Pipeline, PipelineParameter, Step
from headgate.prefect import pipeline_flow
from headgate.store.errors import InvalidInput, InvalidPipeline
from tests.screening import SCREENING, WriteFiles


def with_head(head: str) -> dict[str, str]:
    """The smallest pipeline, with more lines below its name."""
    return {"pipeline.yaml": f"name: small\n{head}\nsteps: {{a: {{entry_point: a.sh}}}}\n", "a.sh": "true\n"}


PARAMETERS = with_head(
    """\
parameters:
  window: 24
  rate: {type: float, default: 1e-3}
  dry: {type: bool, default: false, description: "Train, and promote nothing"}
  region: {type: string, choices: [eu, us], default: eu}
  since: {type: string}
  max-depth: 6
  api_token: {type: string, default: canary-4711}"""
)


def test_parameters_have_types_defaults_and_descriptions(write_files: WriteFiles) -> None:
    flow = pipeline_flow(write_files(PARAMETERS), parameters={"window": "48"})
    schema = flow.parameters.model_dump()
    told = {
        name: {key: of[key] for key in ("type", "default", "enum") if key in of}
        for name, of in schema["properties"].items()
    }
    assert told == {
        "window": {"type": "integer", "default": 48},
        "rate": {"type": "number", "default": 0.001},
        "dry": {"type": "boolean", "default": False},
        "region": {"type": "string", "default": "eu", "enum": ["eu", "us"]},
        "since": {"type": "string"},
        "max_depth": {"type": "integer", "default": 6},
        "api_token": {"type": "string", "default": "**********"},
    }
    assert schema["properties"]["dry"]["description"] == "Train, and promote nothing"
    assert schema["required"] == ["since"]
    assert flow.validate_parameters({"since": "2026", "window": "7"})["window"] == 7
    for wrong in ({"since": "2026", "region": "mars"}, {"since": "2026", "window": "wide"}):
        with pytest.raises(ParameterTypeError):
            flow.validate_parameters(wrong)
    with pytest.raises(TypeError):
        flow.validate_parameters({"since": "2026", "windw": 7})
    assert "canary" not in repr(flow.parameters)


@pytest.mark.parametrize("name", ["wait_for", "class", "_hidden"])
def test_a_name_that_no_argument_can_have_is_told_with_its_line(write_files: WriteFiles, name: str) -> None:
    folder = write_files(with_head(f"parameters:\n  {name}: 1"))
    with pytest.raises(InvalidPipeline, match=rf"pipeline.yaml:3: The parameter '{name}' is a name that"):
        pipeline_flow(folder)


def test_two_parameters_that_become_one_are_refused() -> None:
    pipeline = Pipeline("p", steps=[Step("a", entry_point="a.sh")], parameters={"a-b": 1, "a_b": 2})
    from headgate.prefect.pipeline.signature import argument_names

    with pytest.raises(InvalidPipeline, match="becomes the argument 'a_b' of the flow, as another one does"):
        argument_names(pipeline)


def test_the_flow_has_the_pipelines_name_plan_and_version(write_files: WriteFiles) -> None:
    folder = write_files(SCREENING)
    flow = pipeline_flow(folder)
    assert flow.name == "screening"
    assert flow.description is not None
    assert "## Promotion of screening to @champion" in flow.description
    (folder / "pipeline.yaml").write_text((folder / "pipeline.yaml").read_text() + "# edited\n")
    assert pipeline_flow(folder).version != flow.version
    assert pipeline_flow(folder, name="nightly").name == "nightly"


def test_a_path_starts_from_the_file_that_names_it_or_from_where_one_is(
    write_files: WriteFiles, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    folder = write_files(SCREENING)
    module = _module(
        folder / "flows.py", "from headgate.prefect import pipeline_flow\nmade = pipeline_flow('.')\n", monkeypatch
    )
    assert module.made.name == "screening"
    monkeypatch.chdir(folder)
    assert pipeline_flow("pipeline.yaml").name == "screening"
    with pytest.raises(InvalidPipeline, match=r"there is no pipeline file 'nothing.yaml'\. Looked for"):
        pipeline_flow("nothing.yaml")


def test_the_deployment_has_the_schedule_of_the_file_unless_it_is_told_another(
    write_files: WriteFiles, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = write_files(with_head('schedule: {cron: "0 3 * * 1", timezone: Europe/Berlin}'))
    flow = pipeline_flow(folder)
    (schedule,) = flow.to_deployment("weekly").schedules
    assert (schedule.schedule.cron, schedule.schedule.timezone) == ("0 3 * * 1", "Europe/Berlin")
    (schedule,) = flow.to_deployment("daily", cron="@daily").schedules
    assert schedule.schedule.cron == "@daily"
    assert flow.to_deployment("by-hand", schedules=[]).schedules == []


def test_assets_are_triggers(write_files: WriteFiles) -> None:
    one = pipeline_flow(write_files(with_head("schedule: {assets: ['s3://bucket/scans']}"))).to_deployment("d")
    (trigger,) = one.triggers
    assert trigger.expect == {"prefect.asset.materialization.succeeded"}
    assert trigger.match.model_dump() == {"prefect.resource.id": "s3://bucket/scans"}
    both = pipeline_flow(write_files(with_head("schedule: {assets: ['s3://b/scans', 's3://b/labels']}")))
    (trigger,) = both.to_deployment("d").triggers
    assert (trigger.require, len(trigger.triggers)) == ("all", 2)
    assert both.to_deployment("d", triggers=[]).triggers == []
    named = pipeline_flow(write_files(with_head("schedule: {assets: [scans]}")))
    with pytest.raises(InvalidPipeline, match=r"pipeline.yaml:2: The schedule names the asset 'scans', and Prefect"):
        named.to_deployment("d")


def test_a_scheduled_run_that_would_lack_a_parameter_is_refused(write_files: WriteFiles) -> None:
    flow = pipeline_flow(write_files(with_head('schedule: "@daily"\nparameters:\n  since: {type: string}')))
    with pytest.raises(InvalidPipeline, match="'since' has no default, and a scheduled run is given none"):
        flow.to_deployment("d")
    assert flow.to_deployment("d", parameters={"since": "2026"}).parameters == {"since": "2026"}
    assert flow.to_deployment("d", schedules=[]).schedules == []


def test_a_flow_that_is_a_variable_is_found_by_its_file(
    write_files: WriteFiles, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = write_files(SCREENING)
    code = "from headgate.prefect import pipeline_flow\nretraining = pipeline_flow('.', retries=2)\n"
    module = _module(folder / "flows.py", code, monkeypatch)
    monkeypatch.chdir(folder)
    deployment = module.retraining.to_deployment("d")
    assert deployment.entrypoint == "flows.py:retraining"
    assert load_flow_from_entrypoint(deployment.entrypoint).retries == 2


def test_a_flow_that_is_no_variable_is_found_by_its_pipeline(
    write_files: WriteFiles, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = write_files(
        {
            **SCREENING,
            "my.pipelines/weekly.yaml": SCREENING["pipeline.yaml"]
            .replace("name: screening", "name: weekly\n        project: ..")
            .replace("gate.yaml", "../gate.yaml"),
        }
    )
    flow = pipeline_flow(folder / "my.pipelines" / "weekly.yaml", env="virtualenv", on_reject="skip", max_parallel=3)
    entrypoint = flow.to_deployment("d").entrypoint
    assert entrypoint is not None
    assert entrypoint.startswith("headgate.prefect.pipelines.")
    found: Any = load_flow_from_entrypoint(entrypoint)
    assert (found.name, found.source) == ("weekly", flow.source)
    monkeypatch.chdir(folder)
    assert load_flow_from_entrypoint("headgate.prefect.pipelines.my%2Epipelines/weekly%2Eyaml").name == "weekly"
    with pytest.raises(InvalidInput, match="says 'onreject'"):
        load_flow_from_entrypoint("headgate.prefect.pipelines.my%2Epipelines/weekly%2Eyaml?onreject=skip")


def test_the_file_says_how_a_no_ends_unless_the_flow_does(write_files: WriteFiles) -> None:
    said = SCREENING["pipeline.yaml"].replace("promote:\n", "promote:\n          on_reject: skip\n")
    assert "on_reject" in said
    folder = write_files({**SCREENING, "pipeline.yaml": said})
    flow = pipeline_flow(folder)
    failing = pipeline_flow(folder, on_reject="fail")
    assert (flow.source.on_reject, failing.source.on_reject) == ("skip", "fail")
    entrypoint = failing.to_deployment("d").entrypoint
    assert entrypoint is not None
    assert "on_reject=fail" in entrypoint


@pytest.mark.parametrize(
    "more", [{"retries": 2}, {"step_options": {"train": {"tags": ["gpu"]}}}, {"parameters": {"quality": 1}}]
)
def test_what_nobody_could_find_again_is_not_deployed(write_files: WriteFiles, more: dict[str, Any]) -> None:
    with pytest.raises(InvalidInput, match="is no variable of a module"):
        pipeline_flow(write_files(SCREENING), **more).to_deployment("d")


def test_a_pipeline_in_python_needs_a_variable(write_files: WriteFiles) -> None:
    folder = write_files({"a.sh": "true\n"})
    pipeline = Pipeline(
        "p", steps=[Step("a", entry_point="a.sh")], parameters={"n": PipelineParameter("n", "int", 1)}, folder=folder
    )
    flow = pipeline_flow(pipeline)
    assert list(flow.parameters.properties) == ["n"]
    with pytest.raises(InvalidInput, match="Assign it at the top of a file"):
        flow.to_deployment("d")


def test_other_options_leave_a_pipelines_flow_what_it_is(write_files: WriteFiles) -> None:
    folder = write_files(with_head('schedule: "@daily"'))
    flow: Any = pipeline_flow(folder).with_options(name="other", timeout_seconds=60)
    assert (type(flow).__name__, flow.name) == ("PipelineFlow", "other")
    flow.place = pipeline_flow(folder).place
    assert len(flow.to_deployment("d", schedule=Cron("@hourly")).schedules) == 1


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        ({"on_reject": "ignore"}, "on_reject"),
        ({"max_parallel": 0}, "max_parallel is 0"),
        ({"step_options": {"trian": {}}}, "step_options names 'trian'"),
    ],
)
def test_arguments_that_make_no_sense_are_refused(
    write_files: WriteFiles, arguments: dict[str, Any], said: str
) -> None:
    with pytest.raises(InvalidInput, match=said):
        pipeline_flow(write_files(SCREENING), **arguments)


def _module(path: Path, code: str, monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    """A module of a file, as an import makes it."""
    from importlib.util import module_from_spec, spec_from_file_location

    path.write_text(code)
    spec = spec_from_file_location(f"flows_of_{path.parent.name}_{abs(hash(str(path)))}", path)
    assert spec is not None
    assert spec.loader is not None
    module = module_from_spec(spec)
    monkeypatch.setitem(sys.modules, spec.name, module)
    spec.loader.exec_module(module)
    return module
