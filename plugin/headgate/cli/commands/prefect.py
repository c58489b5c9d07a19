"""``headgate prefect``: pipelines as flows of Prefect."""

from __future__ import annotations

import os

import click

from headgate.cli.documents import deployment_document, flow_run_document
from headgate.cli.doors import load_door
from headgate.cli.lazy_group import LazyGroup
from headgate.cli.options import ENVIRONMENTS, KeyValue, json_option, refuse_repeated, store_options
from headgate.cli.output import print_document, print_facts

_HERE = "headgate.cli.commands.prefect"
_ON_REJECT = ("fail", "skip", "succeed")


@click.group(
    cls=LazyGroup,
    lazy={
        "deploy": (f"{_HERE}:deploy", "Deploy a pipeline to a work pool, with the schedule of its file."),
        "run": (f"{_HERE}:run", "Run a pipeline as a flow, here and now."),
    },
)
def prefect() -> None:
    """Prefect: deploy a pipeline as a flow, run one."""


@click.command()
@click.argument("pipeline", default=".")
@click.option("--pool", metavar="NAME", required=True, help="Work pool whose workers run it.")
@click.option("--queue", metavar="NAME", help="Queue of the work pool. Default: the pool's default one.")
@click.option("--name", metavar="NAME", default="headgate", show_default=True, help="Name of the deployment.")
@click.option(
    "--folder",
    metavar="PATH",
    help="Where the workers find the pipeline's folder, in an image for instance. Default: where it is here.",
)
@click.option("-P", "--param", "parameters", type=KeyValue(), multiple=True, help="A parameter of the pipeline.")
@click.option("--env", type=click.Choice(ENVIRONMENTS), help="Environment of every step, over what the pipeline says.")
@click.option("--experiment", metavar="NAME", help="Experiment of the runs, over what the pipeline says.")
@click.option("--store-block", metavar="NAME", help="HeadgateStore block that names the store.")
@click.option("--on-reject", type=click.Choice(_ON_REJECT), help="How a run ends when the gate says no. Default: fail.")
@click.option("--max-parallel", type=click.IntRange(1), help="How many entry points may run side by side.")
@click.option("--no-schedule", is_flag=True, help="Leave out the schedule of the file: runs are started by hand.")
@json_option
def deploy(
    pipeline: str,
    pool: str,
    queue: str | None,
    name: str,
    folder: str | None,
    parameters: tuple[tuple[str, str], ...],
    env: str | None,
    experiment: str | None,
    store_block: str | None,
    on_reject: str | None,
    max_parallel: int | None,
    no_schedule: bool,
    as_json: bool,
) -> None:
    """Deploy a pipeline to a work pool, with the schedule of its file.

    PIPELINE is a pipeline file, or a folder with a pipeline.yaml. The deployment has the pipeline's parameters, with
    their types and defaults. Deployed again under the same name, it is changed. PREFECT_API_URL names the server.
    """
    made = load_door("prefect").deploy(
        pipeline,
        pool=pool,
        queue=queue,
        name=name,
        folder=folder,
        parameters=refuse_repeated(parameters),
        scheduled=not no_schedule,
        env=env,
        experiment=experiment,
        store=store_block,
        on_reject=on_reject,
        max_parallel=max_parallel,
    )
    if as_json:
        print_document(deployment_document(made))
        return
    facts = {
        "deployment": f"{made['flow_name']}/{made['name']}",
        "id": made["deployment_id"],
        "work pool": made["work_pool"],
        "schedule": ", ".join(made["schedules"]) or "none",
        "triggers": ", ".join(made["triggers"]),
        "entrypoint": made["entrypoint"],
        "run it": f"prefect deployment run '{made['flow_name']}/{made['name']}'",
    }
    print_facts(facts)


@click.command()
@click.argument("pipeline", default=".")
@click.option("-P", "--param", "parameters", type=KeyValue(), multiple=True, help="A parameter of the pipeline.")
@click.option("--env", type=click.Choice(ENVIRONMENTS), help="Environment of every step, over what the pipeline says.")
@click.option("--experiment", metavar="NAME", help="Experiment of the runs, over what the pipeline says.")
@click.option("--store-block", metavar="NAME", help="HeadgateStore block that names the store, over --store.")
@click.option("--on-reject", type=click.Choice(_ON_REJECT), help="How it ends when the gate says no. Default: fail.")
@click.option("--max-parallel", type=click.IntRange(1), help="How many entry points may run side by side.")
@store_options
@json_option
def run(
    pipeline: str,
    parameters: tuple[tuple[str, str], ...],
    env: str | None,
    experiment: str | None,
    store_block: str | None,
    on_reject: str | None,
    max_parallel: int | None,
    store_url: str | None,
    artifact_root: str | None,
    as_json: bool,
) -> None:
    """Run a pipeline as a flow, here and now.

    PIPELINE is a pipeline file, or a folder with a pipeline.yaml. The flow run and its tasks are seen in Prefect;
    what is recorded is what headgate run records. PREFECT_API_URL names the server.
    """
    # The tasks of a flow open the store that their process's environment names.
    for variable, value in (("HEADGATE_STORE_URL", store_url), ("HEADGATE_ARTIFACT_ROOT", artifact_root)):
        if value is not None:
            os.environ[variable] = value
    ended, error = load_door("prefect").run(
        pipeline,
        parameters=refuse_repeated(parameters),
        env=env,
        experiment=experiment,
        store=store_block,
        on_reject=on_reject,
        max_parallel=max_parallel,
    )
    if as_json:
        print_document({"flow_run": flow_run_document(ended)})
    else:
        shown = ("flow_run_name", "flow_run_id", "state", "run_id", "verdict_id", "outcome", "promotion_id", "version")
        print_facts({name.replace("_", " "): ended[name] for name in shown} | {"seen at": ended["url"]})
    if error is not None:
        raise error
