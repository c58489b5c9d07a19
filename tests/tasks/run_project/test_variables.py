"""The environment that the caller of a run gives its entry point."""

from __future__ import annotations

import pytest

from headgate.store.errors import InvalidInput
from headgate.store.store import Store
from headgate.tasks.run_project import run_project
from tests.tasks.run_project.conftest import MakeProject, all_runs, output_of

SHOW = """
main:
  command: "echo REGION=$REGION RUN=$HEADGATE_RUN_ID PASSWORD=$DB_PASSWORD"
"""


def test_variables_reach_the_entry_point_and_their_secrets_do_not_reach_its_output(
    store: Store, project: MakeProject, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("REGION", "from the process")
    variables = {"REGION": "north", "DB_PASSWORD": "correct horse", "HEADGATE_RUN_ID": "not yours to say"}
    result = run_project(project(SHOW), store=store, variables=variables)
    assert output_of(store, result.run_id) == f"REGION=north RUN={result.run_id} PASSWORD=***\n"


@pytest.mark.parametrize("name", ["", "A=B", "A\0"])
def test_a_name_that_no_variable_can_have(store: Store, project: MakeProject, name: str) -> None:
    with pytest.raises(InvalidInput, match="can't be set in the environment"):
        run_project(project(SHOW), store=store, variables={name: "1"})
    assert all_runs(store) == ()
