"""The store: one database, one artifact root, and an object per aggregate."""

from __future__ import annotations

from functools import cached_property
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING

from headgate.store.database import Database, store_url
from headgate.store.errors import InvalidSettings
from headgate.store.migrate import ensure_schema
from headgate.store.settings import Settings, read_settings

if TYPE_CHECKING:
    from headgate.store.approvals import Approvals
    from headgate.store.artifacts import ArtifactStore
    from headgate.store.datasets import Datasets
    from headgate.store.deliveries import Deliveries
    from headgate.store.experiments import Experiments
    from headgate.store.gates import Guards
    from headgate.store.leases import Leases
    from headgate.store.lineage import LineageGraph
    from headgate.store.logged_models import LoggedModels
    from headgate.store.metrics import Metrics
    from headgate.store.outbox import Outbox
    from headgate.store.params_and_tags import Params, Tags
    from headgate.store.pipeline_runs import PipelineRuns
    from headgate.store.promotions import Promotions
    from headgate.store.registry import Registry
    from headgate.store.runs import Runs
    from headgate.store.stage_rules import ModelStages
    from headgate.store.standings import Standings
    from headgate.store.tokens import Tokens
    from headgate.store.verdicts import Verdicts
    from headgate.store.webhooks import Webhooks


def open_store(url: str | None = None, *, artifact_root: str | None = None, settings: Settings | None = None) -> Store:
    """Open the store, making a new SQLite file ready when it is one.

    Args:
        url: ``sqlite:///path``, ``postgresql://…`` or ``mysql://…``; None takes ``HEADGATE_STORE_URL``, or else the
            SQLite file in the home folder.
        artifact_root: a folder or ``s3://bucket/prefix``; None takes ``HEADGATE_ARTIFACT_ROOT``, or else ``artifacts``
            beside the SQLite file.
        settings: everything else; None reads the environment.

    Raises:
        InvalidSettings: the URL or a setting can't be used, or a server database has no artifact root.
        SchemaOutdated: the database needs ``headgate db upgrade``.
        SchemaTooNew: the database belongs to a newer Headgate.
        StoreUnavailable: the database did not answer; a retry may help.
    """
    settings = settings or read_settings()
    database = Database(store_url(url, settings), settings)
    root = _artifact_root(artifact_root or settings.artifact_root, database)
    store = Store(database, root, settings)
    try:
        ensure_schema(database, settings)
        store.experiments.ensure_default()
    except BaseException:
        store.close()
        raise
    return store


def _artifact_root(said: str | None, database: Database) -> str:
    from headgate.store.artifacts import artifact_root_uri

    if said is not None:
        return artifact_root_uri(said)
    if database.dialect != "sqlite":
        raise InvalidSettings(
            f"The store is a {database.dialect} database, and nothing says where artifacts go.",
            remedy="Set HEADGATE_ARTIFACT_ROOT to a folder that all workers share, or to s3://bucket/prefix.",
        )
    return artifact_root_uri(str(Path(str(database.url.database)).parent / "artifacts"))


class Store:
    """Everything that is recorded. Safe to share between threads; each call is one transaction.

    Use :func:`open_store` to get one, and close it (or use it as a context manager) when done.
    """

    def __init__(self, database: Database, artifact_root: str, settings: Settings) -> None:
        self.database = database
        self.artifact_root = artifact_root
        self.settings = settings

    def __enter__(self) -> Store:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def __repr__(self) -> str:
        return f"Store({self.display_url!r}, artifact_root={self.artifact_root!r})"

    def close(self) -> None:
        """Close the pooled connections."""
        self.database.close()

    @property
    def url(self) -> str:
        """The URL as a child process needs it, password included: for environments, never for display."""
        return self.database.url.render_as_string(hide_password=False)

    @property
    def display_url(self) -> str:
        """The URL with its password masked."""
        return self.database.display_url

    @property
    def workspace(self) -> str:
        """The workspace that names of experiments and registered models belong to."""
        return self.settings.workspace

    def artifacts(self, uri: str) -> ArtifactStore:
        """Return the artifact store that holds ``uri`` (a folder or ``s3://…``), rooted there.

        Raises:
            InvalidSettings: no artifact store is known for this URI, or its extra is not installed.
        """
        from headgate.store.artifacts import artifact_store_for

        return artifact_store_for(uri, self.settings)

    @cached_property
    def experiments(self) -> Experiments:
        from headgate.store.experiments import Experiments

        return Experiments(self.database, self.artifact_root, self.workspace)

    @cached_property
    def runs(self) -> Runs:
        from headgate.store.runs import Runs

        return Runs(self.database, self.workspace)

    @cached_property
    def leases(self) -> Leases:
        from headgate.store.leases import Leases

        return Leases(self.database)

    @cached_property
    def metrics(self) -> Metrics:
        from headgate.store.metrics import Metrics

        return Metrics(self.database)

    @cached_property
    def params(self) -> Params:
        from headgate.store.params_and_tags import Params

        return Params(self.database)

    @cached_property
    def tags(self) -> Tags:
        from headgate.store.params_and_tags import Tags

        return Tags(self.database)

    @cached_property
    def datasets(self) -> Datasets:
        from headgate.store.datasets import Datasets

        return Datasets(self.database)

    @cached_property
    def logged_models(self) -> LoggedModels:
        from headgate.store.logged_models import LoggedModels

        return LoggedModels(self.database, self.workspace)

    @cached_property
    def registry(self) -> Registry:
        from headgate.store.registry import Registry

        return Registry(self.database, self.workspace)

    @cached_property
    def gates(self) -> Guards:
        from headgate.store.gates import Guards

        return Guards(self.database, self.workspace)

    @cached_property
    def stages(self) -> ModelStages:
        from headgate.store.stage_rules import ModelStages

        return ModelStages(self.database, self.workspace)

    @cached_property
    def verdicts(self) -> Verdicts:
        from headgate.store.verdicts import Verdicts

        return Verdicts(self.database, self.workspace)

    @cached_property
    def approvals(self) -> Approvals:
        from headgate.store.approvals import Approvals

        return Approvals(self.database, self.workspace)

    @cached_property
    def promotions(self) -> Promotions:
        from headgate.store.promotions import Promotions

        return Promotions(self.database, self.workspace)

    @cached_property
    def outbox(self) -> Outbox:
        from headgate.store.outbox import Outbox

        return Outbox(self.database, self.workspace)

    @cached_property
    def deliveries(self) -> Deliveries:
        from headgate.store.deliveries import Deliveries

        return Deliveries(self.database, self.workspace)

    @cached_property
    def webhooks(self) -> Webhooks:
        from headgate.store.webhooks import Webhooks

        return Webhooks(self.database, self.workspace)

    @cached_property
    def standings(self) -> Standings:
        from headgate.store.standings import Standings

        return Standings(self.database, self.workspace)

    @cached_property
    def pipeline_runs(self) -> PipelineRuns:
        from headgate.store.pipeline_runs import PipelineRuns

        return PipelineRuns(self.database, self.workspace)

    @cached_property
    def tokens(self) -> Tokens:
        from headgate.store.tokens import Tokens

        return Tokens(self.database)

    @cached_property
    def lineage(self) -> LineageGraph:
        from headgate.store.lineage import LineageGraph

        return LineageGraph(self.database, self.workspace)
