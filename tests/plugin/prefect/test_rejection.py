"""How flows end that were told no: the state that Prefect's server has, with its name and its reason."""

from __future__ import annotations

import asyncio

import pytest
from prefect import flow
from prefect.client.orchestration import get_client

from headgate.prefect import decide_gate, gated_flow
from headgate.store import RunContext, Store
from headgate.store.errors import GateRejected, InvalidInput
from tests.plugin.prefect.projects import GATE, measured

pytestmark = pytest.mark.usefixtures("prefect_server")
ENDS = {"fail": ("FAILED", "FAILED"), "skip": ("CANCELLED", "FINISHED"), "succeed": ("COMPLETED", "FINISHED")}


@pytest.mark.oldest_prefect
@pytest.mark.parametrize("on_reject", ENDS)
def test_the_state_has_a_name_and_says_why(store: Store, on_reject: str) -> None:
    candidate, lives = measured(store, 0.1), []

    @gated_flow(on_reject=on_reject, retries=2)
    def screening():
        lives.append(1)
        decide_gate(GATE, model_name="screening", candidate=candidate)
        raise AssertionError("what is below a no does not run")

    state = screening(return_state=True)
    with get_client(sync_client=True) as client:
        flow_run = client.read_flow_run(state.state_details.flow_run_id)
    assert flow_run.state is not None
    assert (flow_run.state.type, flow_run.state.name) == (ENDS[on_reject][0], "Rejected")
    assert "rejects" in (flow_run.state.message or "")
    assert len(lives) == 1
    run = store.runs.find_by_context(RunContext("prefect", "screening", str(flow_run.id)))
    assert run is not None
    assert run.info.status == ENDS[on_reject][1]


def test_a_parent_flow_gets_the_no(store: Store) -> None:
    candidate = measured(store, 0.1)

    @gated_flow
    async def screening():
        decide_gate(GATE, model_name="screening", candidate=candidate)

    @flow
    async def outer():
        state = await screening(return_state=True)
        await state.aresult()

    with pytest.raises(GateRejected):
        asyncio.run(outer())


def test_a_yes_is_what_the_function_returns(store: Store) -> None:
    @gated_flow(on_reject="skip", name="another name")
    def screening(answer: int = 42):
        return answer

    assert (screening(), screening.name) == (42, "another name")
    with pytest.raises(InvalidInput, match="on_reject is 'branch'"):
        gated_flow(on_reject="branch")
