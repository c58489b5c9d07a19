"""The data that a pipeline's steps read are inlets of their tasks, as far as the DAG's file knows them."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable
from typing import Any

from airflow.sdk import DAG, task
from airflow.serialization.serialized_objects import DagSerialization

from headgate.airflow import PipelineDag, PipelineTaskGroup, dataset_asset
from tests.plugin.airflow.dag_runs import DagRun
from tests.screening import SCREENING, WriteFiles

MLPROJECT = """\
name: readers
entry_points:
  read:
    parameters:
      data: path
      labels: {type: uri, default: "s3://bucket/labels.csv"}
      note: {type: string, default: notes.txt}
      api_token: {type: path, default: token.txt}
    command: "echo {data} {labels} {note} {api_token}"
  compare:
    parameters: {data: path, model: uri}
    command: "echo {data} {model}"
"""
PIPELINE = """\
name: readers
parameters:
  where: s3://bucket
  file: s3://bucket/scans.parquet
  password: s3://bucket/secret.csv
steps:
  plain: {entry_point: read, parameters: {data: data/train.parquet, note: other.csv}}
  folder: {entry_point: read, parameters: {data: "{{ params.where }}/train.csv", labels: "{{ params.password }}"}}
  given: {entry_point: read, parameters: {data: "{{ params.file }}", labels: "s3://bucket/labels.csv"}}
  handed: {entry_point: compare, parameters: {data: "{{ steps.plain.artifacts['to/made.csv'] }}", model: "models:/m@a"}}
  swept: {entry_point: read, sweep: {data: [one.csv, two.csv]}, parameters: {labels: "file:///data/labels.csv"}}
"""
FILES = {"pipeline.yaml": PIPELINE, "MLproject": MLPROJECT}


def names(inlets: Iterable[Any]) -> list[str]:
    return [inlet.name.removeprefix("datasets/") for inlet in inlets]


def inlets_of(dag: DAG, prefix: str = "") -> dict[str, list[str]]:
    steps = ("plain", "folder", "given", "handed", "swept")
    return {name: names(dag.task_dict[f"{prefix}{name}"].inlets) for name in steps}


def test_data_that_every_run_of_the_dag_reads_are_inlets_of_its_steps(write_files: WriteFiles) -> None:
    dag = PipelineDag(write_files(FILES))
    assert inlets_of(dag) == {
        "plain": ["train", "labels"],
        "folder": ["train"],
        "given": ["labels"],
        "handed": [],
        "swept": ["labels", "one", "two"],
    }
    (train, _) = dag.task_dict["plain"].inlets
    assert train.uri == "headgate://headgate_default/datasets/train"
    written = json.dumps(DagSerialization.to_dict(dag))
    assert "headgate://headgate_default/datasets/two" in written
    assert "datasets/secret" not in written


def test_what_a_task_group_is_given_is_known_unless_it_comes_later(write_files: WriteFiles) -> None:
    folder = write_files(FILES)
    with DAG("groups", schedule=None) as dag:

        @task
        def export() -> str:
            return "s3://bucket/exported.csv"

        PipelineTaskGroup(folder, group_id="plain", parameters={"file": "s3://bucket/given.csv"})
        PipelineTaskGroup(folder, group_id="later", parameters={"file": export()})
        PipelineTaskGroup(folder, group_id="template", parameters={"file": "{{ ds }}"})
        PipelineTaskGroup(folder, group_id="default", headgate_conn_id="other")
    given = {group: inlets_of(dag, f"{group}.")["given"] for group in ("plain", "later", "template", "default")}
    assert given == {
        "plain": ["given", "labels"],
        "later": ["labels"],
        "template": ["labels"],
        "default": ["other:datasets/scans", "other:datasets/labels"],
    }


def test_inlets_of_the_users_own_stay_and_describe_their_data(write_files: WriteFiles) -> None:
    other = dataset_asset("calendar")
    train = dataset_asset("train", "s3://bucket/train.parquet")
    swept = dataset_asset("two", "s3://bucket/two.csv")
    options = {"plain": {"inlets": [other, train]}, "swept": {"inlets": [swept]}}
    dag = PipelineDag(write_files(FILES), step_kwargs=options)
    assert names(dag.task_dict["plain"].inlets) == ["calendar", "train", "labels"]
    assert train in dag.task_dict["plain"].inlets
    assert names(dag.task_dict["swept"].inlets) == ["two", "labels", "one"]
    assert swept in dag.task_dict["swept"].inlets


def test_a_champion_is_measured_on_the_data_of_its_step(write_files: WriteFiles) -> None:
    files = {
        **SCREENING,
        "MLproject": """\
            name: screening
            entry_points:
              train: {parameters: {depth: int}, command: "true {depth}"}
              evaluate: {parameters: {model: string, data: path}, command: "true {model} {data}"}
            """,
        "pipeline.yaml": SCREENING["pipeline.yaml"].replace(
            'model: "{{ steps.train.model }}"', 'model: "{{ steps.train.model }}", data: holdout.csv'
        ),
    }
    dag = PipelineDag(write_files(files))
    assert names(dag.task_dict["evaluate"].inlets) == names(dag.task_dict["evaluate.champion"].inlets) == ["holdout"]


def test_a_step_with_inlets_runs(write_files: WriteFiles, run_dag: Callable[..., DagRun]) -> None:
    folder = write_files(
        {
            "pipeline.yaml": "name: has_inlets\nsteps: {read: {entry_point: read, parameters: {data: rows.csv}}}\n",
            "MLproject": "name: p\nentry_points: {read: {parameters: {data: path}, command: 'cat {data}'}}\n",
            "rows.csv": "a\n1\n",
        }
    )
    dag = PipelineDag(folder)
    assert names(dag.task_dict["read"].inlets) == ["rows"]
    assert run_dag(dag).state == "success"
