"""``headgate plan``: what a pipeline would run, without running anything."""

from __future__ import annotations

import click

from headgate.cli.options import ENVIRONMENTS, Instant, KeyValue, json_option, refuse_repeated
from headgate.cli.output import print_document, print_text


@click.command()
@click.argument("pipeline", default=".")
@click.option("-P", "--param", "parameters", type=KeyValue(), multiple=True, help="A parameter of the pipeline.")
@click.option("--env", type=click.Choice(ENVIRONMENTS), help="Environment of every step, over what the pipeline says.")
@click.option("--experiment", metavar="NAME", help="Experiment of the runs, over what the pipeline says.")
@click.option("--logical-date", type=Instant(), help="What the run stands for in time. UTC unless it says otherwise.")
@json_option
def plan(
    pipeline: str,
    parameters: tuple[tuple[str, str], ...],
    env: str | None,
    experiment: str | None,
    logical_date: int | None,
    as_json: bool,
) -> None:
    """Show what a pipeline would run, without running anything.

    PIPELINE is a pipeline file, or a folder with a pipeline.yaml. Every mistake in it is told with file and line, and
    the command ends with 2. The store is neither read nor written.
    """
    from headgate.flows.planning import plan as plan_it

    planned = plan_it(
        pipeline,
        refuse_repeated(parameters),
        logical_date=logical_date,
        env=env,
        experiment=experiment,
    )
    if as_json:
        print_document(planned.to_json())
    else:
        print_text(str(planned))
