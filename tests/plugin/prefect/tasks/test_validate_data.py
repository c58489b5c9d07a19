"""``validate_data`` in real flows: data that meet their expectations, and data that don't."""

from __future__ import annotations

from pathlib import Path

import pytest
from prefect.client.orchestration import get_client

from headgate.prefect import gated_flow, validate_data
from headgate.store import Store
from headgate.store.errors import DataRejected

pytestmark = pytest.mark.usefixtures("prefect_server")
SUITE = """
name: scans
expectations:
  - type: expect_column_values_to_be_between
    kwargs: {column: age, min_value: 0, max_value: {$PARAMETER: oldest}}
"""


def test_data_are_judged_in_a_run_of_the_flow_run(store: Store, tmp_path: Path) -> None:
    data, suite = tmp_path / "scans.csv", tmp_path / "scans.yaml"
    data.write_text("age\n20\n70\n")
    suite.write_text(SUITE)
    tries: list[int] = []

    @gated_flow(on_reject="skip")
    def screening(oldest: int):
        judge = validate_data.with_options(retries=2, on_running=[lambda *_: tries.append(1)])
        return judge(data, suite, expectation_parameters={"oldest": oldest})

    validation = screening(120)
    run = store.runs.get(validation.run_id)
    assert (run.info.status, run.info.context.pipeline, run.info.context.task) == (
        "FINISHED",
        "screening",
        "validate_data",
    )
    assert validation.outcome == "pass"

    tries.clear()
    state = screening(65, return_state=True)
    with get_client(sync_client=True) as client:
        flow_run = client.read_flow_run(state.state_details.flow_run_id)
    assert (flow_run.state_name, flow_run.state_type.value) == ("Data rejected", "CANCELLED")
    assert len(tries) == 1
    failing = gated_flow(screening.fn.__wrapped__, name="failing")(65, return_state=True)
    assert isinstance(failing.result(raise_on_failure=False), DataRejected)
