"""The same calls to Headgate and to a real ``mlflow server``, on SQLite and PostgreSQL: equal answers."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping

import pytest
from sqlalchemy import make_url

from tests.services import database_of_its_own
from tests.wire.conftest import ServedStore
from tests.wire.conversation import Answer, Conversation
from tests.wire.deliberate import DELIBERATE
from tests.wire.mlflow_server import Script, answers
from tests.wire.scripts.artifacts import artifacts
from tests.wire.scripts.experiments import experiments
from tests.wire.scripts.inputs import inputs_and_outputs, models_in_pages
from tests.wire.scripts.registry import copies, registered_models, registry
from tests.wire.scripts.runs import bodies, histories, legacy_models, runs
from tests.wire.scripts.searches import search_runs

MlflowsAnswers = Callable[[Script, str], list[Answer]]

SCRIPTS: tuple[Script, ...] = (
    experiments,
    runs,
    bodies,
    histories,
    legacy_models,
    search_runs,
    inputs_and_outputs,
    models_in_pages,
    artifacts,
    registry,
    registered_models,
    copies,
)


@pytest.fixture(scope="session")
def mlflows_answers(tmp_path_factory: pytest.TempPathFactory, request: pytest.FixtureRequest) -> MlflowsAnswers:
    """What MLflow answers to a script on a database."""
    shared = tmp_path_factory.getbasetemp()
    if "PYTEST_XDIST_WORKER" in os.environ:
        shared = shared.parent
    found: dict[str, Mapping[str, list[Answer]]] = {}

    def ask(script: Script, dialect: str) -> list[Answer]:
        if dialect not in found:
            folder = shared / f"mlflow-{dialect}"
            if dialect == "sqlite":
                found[dialect] = answers(folder, f"sqlite:///{folder}/mlflow.db", SCRIPTS)
            else:
                with database_of_its_own(request.getfixturevalue("postgresql_server")) as url:
                    # MLflow compares text with numbers, which only this driver lets PostgreSQL do.
                    psycopg2 = make_url(url).set(drivername="postgresql+psycopg2")
                    backend = psycopg2.render_as_string(hide_password=False)
                    found[dialect] = answers(folder, backend, SCRIPTS)
        return found[dialect][script.__name__]

    return ask


@pytest.mark.parametrize("script", SCRIPTS, ids=lambda script: script.__name__)
def test_the_same_calls_get_the_same_answers(
    script: Script, served: ServedStore, mlflows_answers: MlflowsAnswers
) -> None:
    with Conversation(served.url) as talk:
        script(talk)
        ours = talk.told()
    dialect = served.store.database.engine.dialect.name
    theirs = mlflows_answers(script, dialect)
    differences = {
        mine[0]: (_outcome(mine), _outcome(other)) for mine, other in zip(ours, theirs, strict=True) if mine != other
    }
    expected = {said.call: said.outcomes(dialect) for said in DELIBERATE}
    for mine, other in zip(ours, theirs, strict=True):
        if mine[0] not in expected:
            assert mine == other
    said = {mine[0] for mine in ours}
    assert differences == {call: outcome for call, outcome in expected.items() if call in said}


def _outcome(answer: Answer) -> tuple[int, str | None]:
    _, status, body = answer
    return status, body.get("error_code") if isinstance(body, dict) else None
