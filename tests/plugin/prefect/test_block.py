"""The store of a block, of the environment, and of nobody's choice; secrets stay secret."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import subprocess
import sys
from pathlib import Path

import pytest
from prefect import flow, task
from prefect.cli.block import _register_blocks_in_module
from prefect.client.orchestration import get_client
from prefect.exceptions import ObjectNotFound

import headgate.prefect
from headgate.prefect import HeadgateStore, open_store_of, tracked
from headgate.prefect.store_access import close_stores, store_access
from headgate.store.errors import InvalidSettings
from tests.plugin.prefect.server import PrefectServer

pytestmark = pytest.mark.usefixtures("prefect_server")
PASSWORD = "canary-in-the-mine"


@pytest.fixture(autouse=True)
def _nothing_open():
    yield
    close_stores()


def test_a_task_writes_to_the_store_of_a_block(tmp_path: Path) -> None:
    HeadgateStore(url=f"sqlite:///{tmp_path}/team.db", workspace="team").save("team-block", overwrite=True)

    @flow
    def training():
        @tracked(store="team-block", returns="reference")
        def fit(depth: int) -> None: ...

        return task(fit)(6)

    run_id = training().run_id
    with open_store_of("team-block") as store:
        assert (store.workspace, store.runs.get(run_id).params) == ("team", {"depth": "6"})
        assert store.url == f"sqlite:///{tmp_path}/team.db"
        with open_store_of("team-block") as again:
            assert again is store
    with HeadgateStore.load("team-block").open() as store:
        assert store.runs.get(run_id).info.status == "FINISHED"


def test_a_password_is_shown_nowhere(caplog: pytest.LogCaptureFixture) -> None:
    block = HeadgateStore(url=f"postgresql://user:{PASSWORD}@127.0.0.1:1/none", artifact_root="/tmp")
    block.save("secret-block", overwrite=True)
    assert (block.url, block.password.get_secret_value()) == ("postgresql://user@127.0.0.1:1/none", PASSWORD)
    with get_client(sync_client=True) as client:
        document = client.read_block_document_by_name("secret-block", "headgate-store", include_secrets=False)
    loaded = HeadgateStore.load("secret-block")
    shown = [repr(block), repr(loaded), str(document), repr(loaded.access()), *map(str, caplog.records)]
    assert not [text for text in shown if PASSWORD in text]
    assert PASSWORD in (loaded.access().url or "")
    logging.getLogger("prefect").info("%s", loaded)


def test_a_block_that_is_not_there_is_said(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    with pytest.raises(InvalidSettings, match="no block 'no-such-block'"), open_store_of("no-such-block"):
        pass


def test_nothing_names_the_store(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("HEADGATE_HOME")
    with get_client(sync_client=True) as client, contextlib.suppress(ObjectNotFound):
        client.delete_block_document(client.read_block_document_by_name("default", "headgate-store").id)
    assert store_access().url is None
    monkeypatch.setenv("PREFECT__RUNTIME__DEPLOYMENT__ID", "a-deployment")
    with pytest.raises(InvalidSettings, match="run of a deployment"):
        store_access()
    HeadgateStore(url="sqlite:////tmp/of-the-default-block.db").save("default", overwrite=True)
    close_stores()  # what is remembered of blocks goes with them
    assert store_access().url == "sqlite:////tmp/of-the-default-block.db"
    with get_client(sync_client=True) as client:
        client.delete_block_document(client.read_block_document_by_name("default", "headgate-store").id)


def test_a_url_that_can_not_be_read_is_said() -> None:
    with pytest.raises(InvalidSettings, match="can't be read"):
        HeadgateStore(url="somewhere").access()


@pytest.mark.oldest_prefect
def test_prefect_loads_it_by_itself(tmp_path: Path, prefect_server: PrefectServer) -> None:
    """As its server does when it starts, and whoever names a block by its type: nothing here imports Headgate."""
    url = f"sqlite:///{tmp_path}/team.db"
    HeadgateStore(url=url).save("found-by-type", overwrite=True)
    code = "from prefect.blocks.core import Block; print(Block.load('headgate-store/found-by-type').url)"
    ran = subprocess.run(
        [sys.executable, "-c", code], env=prefect_server.environment, capture_output=True, text=True, cwd=tmp_path
    )
    assert ran.stdout.strip() == url, ran.stderr


def test_prefect_block_register_finds_it() -> None:
    assert asyncio.run(_register_blocks_in_module(headgate.prefect)) == [HeadgateStore]
