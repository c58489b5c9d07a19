"""The URIs of Headgate's assets: ``headgate://<connection>/…``, the same wherever an object is named.

=========================================================  =============================================================
``headgate://headgate_default/models/tumor-screening``              a registered model: an event per version
``headgate://headgate_default/models/tumor-screening@champion``     its alias: an event per promotion or rollback
``headgate://headgate_default/models/tumor-screening/Production``   its stage: an event per promotion or rollback
``headgate://headgate_default/datasets/holdout``                    a dataset, by its name in the store
=========================================================  =============================================================

The host is the id of the Airflow connection that names the store, which is all that a DAG file knows of it: two stores
in one Airflow have two connections. Names are percent-encoded; what follows a model's name is written as in MLflow's
``models:/`` URIs. There is one asset per model, alias or stage and none per version: what an event is about stands in
its ``extra``.

Airflow calls these functions for every URI of the scheme (provider info, ``asset-uris``), while DAG files are parsed.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any
from urllib.parse import SplitResult, quote, unquote, urlsplit

from headgate.airflow.connection import DEFAULT_CONN_ID

if TYPE_CHECKING:
    from airflow.providers.common.compat.openlineage.facet import Dataset as OpenLineageDataset
    from airflow.sdk import Asset

SCHEME = "headgate"
MODELS = "models"
DATASETS = "datasets"


@dataclass(frozen=True, slots=True)
class AssetName:
    """What an asset stands for.

    Args:
        kind: ``models`` or ``datasets``.
        name: of the registered model or the dataset.
        target: ``@alias`` or ``stage:Name`` of a model; None for its registered versions.
        headgate_conn_id: of the connection that names the store.
    """

    kind: str
    name: str
    target: str | None = None
    headgate_conn_id: str = DEFAULT_CONN_ID

    @property
    def uri(self) -> str:
        return f"{SCHEME}://{self.headgate_conn_id}{self.path}"

    @property
    def path(self) -> str:
        return f"/{self.kind}/{quote(self.name, safe='')}{self._suffix}"

    @property
    def title(self) -> str:
        """The asset's name in Airflow, which has to be unique there and, on MySQL, ASCII.

        Airflow runs no task of two assets with one name: a dataset may well be called what its model is.
        """
        name = self.name if self.name.isascii() else quote(self.name, safe=" ")
        store = "" if self.headgate_conn_id == DEFAULT_CONN_ID else f"{self.headgate_conn_id}:"
        return f"{store}{'datasets/' if self.kind == DATASETS else ''}{name}{self._suffix}"

    @property
    def _suffix(self) -> str:
        if self.target is None:
            return ""
        return self.target if self.target.startswith("@") else f"/{self.target.removeprefix('stage:')}"


def read_uri(uri: str) -> AssetName:
    """Return what the URI of an asset stands for.

    Raises:
        ValueError: it is none of the URIs that this module writes.
    """
    return _read(urlsplit(uri))


def sanitize_uri(parts: SplitResult) -> SplitResult:
    """Return a URI in its one form; Airflow calls this for every asset of the scheme.

    Raises:
        ValueError: it is none of the URIs that this module writes.
    """
    return parts._replace(path=_read(parts).path, query="", fragment="")


def create_asset(*, uri: str, extra: dict[str, Any] | None = None) -> Asset:
    """Make an asset of a URI, for Airflow's lineage of hooks."""
    from airflow.sdk import Asset

    return Asset(name=read_uri(uri).title, uri=uri, extra=extra)


def convert_asset_to_openlineage(asset: Asset, lineage_context: Any) -> OpenLineageDataset:
    """Return OpenLineage's dataset for an asset: the store is its namespace, the rest of the URI its name."""
    from airflow.providers.common.compat.openlineage.facet import Dataset as OpenLineageDataset

    namespace, name = openlineage_name(read_uri(asset.uri))
    return OpenLineageDataset(namespace=namespace, name=name)


def openlineage_name(name: AssetName) -> tuple[str, str]:
    """Return the namespace and the name that OpenLineage knows an asset by."""
    return f"{SCHEME}://{name.headgate_conn_id}", name.path.removeprefix("/")


def _read(parts: SplitResult) -> AssetName:
    from headgate.store.errors import InvalidInput
    from headgate.store.targets import parse_target

    segments = parts.path.split("/")
    well_formed = parts.scheme == SCHEME and parts.netloc and segments[0] == "" and len(segments) in (3, 4)
    if not well_formed or not segments[2] or segments[1] not in (MODELS, DATASETS):
        raise ValueError(
            f"{parts.geturl()!r} is not the URI of a Headgate asset. Write it as {SCHEME}://connection/models/name, "
            f"…/models/name@alias, …/models/name/Production or …/datasets/name, or call model_asset()."
        )
    name, at, alias = segments[2].partition("@")
    said = f"@{alias}" if at else f"stage:{segments[3]}" if len(segments) == 4 else None
    if said is not None and (segments[1] == DATASETS or (at and len(segments) == 4)):
        raise ValueError(f"{parts.geturl()!r} names an alias or a stage of something that has none.")
    try:
        target = None if said is None else str(parse_target(unquote(said)))
    except InvalidInput as error:
        raise ValueError(str(error)) from error
    return AssetName(segments[1], unquote(name), target, parts.netloc)
