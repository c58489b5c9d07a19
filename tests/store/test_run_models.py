"""The models that a run made, on every database."""

from __future__ import annotations

from headgate.store.entities import LoggedModelStatus, ModelOutput
from headgate.store.store import Store


def test_outputs_and_external_models_the_oldest_first(store: Store) -> None:
    run, other = (store.runs.open("0").info.run_id for _ in range(2))
    models = store.logged_models

    def made(run_id: str | None, now: int, status: LoggedModelStatus = LoggedModelStatus.READY) -> str:
        return models.create("0", source_run_id=run_id, status=status, now=now).model_id

    output, both, external = made(None, 30), made(run, 20), made(run, 10)
    pending, deleted = made(run, 5, LoggedModelStatus.PENDING), made(run, 5)
    models.delete(deleted, now=50)
    store.datasets.log_outputs(run, [ModelOutput(output), ModelOutput(both), ModelOutput(pending)])
    store.datasets.log_outputs(other, [ModelOutput(made(other, 1))])

    assert store.runs.made_models(run) == (external, both, output)
    assert store.runs.made_models("0" * 32) == ()
