"""The registry of one workspace. Guarded aliases and stages move only by a promotion: nothing here moves them."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import TypeVar

from sqlalchemy import Connection

from headgate.store.alias_names import check_alias_name, check_new_alias_name
from headgate.store.database import Database
from headgate.store.entities import DEFAULT_WORKSPACE, LoggedModel, ModelVersion, Page, RegisteredModel
from headgate.store.errors import InvalidInput, NotFound
from headgate.store.gates import require_unguarded
from headgate.store.logged_model_rows import get_logged_model, read_logged_models
from headgate.store.logged_model_rows import no_such_model as no_such_logged_model
from headgate.store.model_names import (
    check_description,
    check_model_pairs,
    check_registered_model_name,
)
from headgate.store.registry import aliases, models, stages, versions
from headgate.store.registry.model_uri import parse_model_uri
from headgate.store.search.registry import search_model_versions, search_registered_models
from headgate.store.stage_rules import require_stage
from headgate.store.targets import Target

T = TypeVar("T")

# A source may be another version (a copy), whose source is another one: nobody copies that often.
_MAX_COPIES = 100


class Registry:
    """Registered models with their versions, aliases, stages and tags. Timestamps (``now``) are UTC epoch milliseconds.

    Every writer may run twice with the same result, except :meth:`create_model`, which says that the model exists, and
    :meth:`create_version`, which makes another version.

    Raises:
        NotFound: what a call names does not exist. ``kind`` is ``registered model``, ``model version``, ``alias`` or
            ``logged model``.
        InvalidInput: a name, a stage, a tag or a description that MLflow would not take.
        TargetGuarded: the call would move, end or rename what a gate guards.
    """

    def __init__(self, database: Database, workspace: str = DEFAULT_WORKSPACE) -> None:
        self._database = database
        self._workspace = workspace

    # Registered models

    def create_model(
        self, name: str, *, description: str = "", tags: Mapping[str, str] | None = None, now: int
    ) -> RegisteredModel:
        """Create a registered model.

        Raises:
            AlreadyExists: there is one of this name.
        """
        check_registered_model_name(name)
        check_description(description)
        checked = check_model_pairs("tag", tags)

        def work(conn: Connection) -> RegisteredModel:
            models.create_model(conn, self._workspace, name, description=description, tags=checked, now=now)
            return models.read_model(conn, self._workspace, name)

        return self._database.transact(work)

    def get_or_create_model(self, name: str, *, now: int) -> RegisteredModel:
        """Return a registered model, made when it is missing."""
        check_registered_model_name(name)

        def work(conn: Connection) -> RegisteredModel:
            models.ensure_model(conn, self._workspace, name, now=now)
            return models.read_model(conn, self._workspace, name)

        return self._database.transact(work)

    def get_model(self, name: str) -> RegisteredModel:
        """Return a registered model with its tags and aliases."""
        return self._read(lambda conn: models.read_model(conn, self._workspace, name))

    def search_models(
        self,
        filter: str | None = None,  # noqa: A002  # MLflow's word
        *,
        order_by: Sequence[str] | None = None,
        max_results: int = 100,
        page_token: str | None = None,
    ) -> Page[RegisteredModel]:
        """Return one page of the models that match; see :func:`headgate.store.search.search_registered_models`.

        Raises:
            InvalidFilter: ``filter`` or ``order_by`` can't be read.
        """
        return search_registered_models(
            self._database, self._workspace, filter, order_by=order_by, max_results=max_results, page_token=page_token
        )

    def update_model(self, name: str, *, description: str | None, now: int) -> RegisteredModel:
        """Change a model's description; None keeps it."""
        check_description(description)

        def work(conn: Connection) -> RegisteredModel:
            models.update_model(conn, self._workspace, name, description=description, now=now)
            return models.read_model(conn, self._workspace, name)

        return self._database.transact(work)

    def rename_model(self, name: str, new_name: str, *, now: int) -> RegisteredModel:
        """Rename a model; its versions, aliases and tags follow.

        Raises:
            AlreadyExists: there is a model of the new name.
            PromotionRefused: the old or the new name has a history of promotions, which is never rewritten.
        """
        check_registered_model_name(new_name)

        def work(conn: Connection) -> RegisteredModel:
            models.rename_model(conn, self._workspace, name, new_name, now=now)
            return models.read_model(conn, self._workspace, new_name)

        return self._database.transact(work)

    def delete_model(self, name: str) -> None:
        """Delete a model with all its versions, aliases and tags. The history of its promotions stays."""
        self._database.transact(lambda conn: models.delete_model(conn, self._workspace, name))

    def set_model_tag(self, name: str, key: str, value: str) -> None:
        """Set a tag of a model."""
        checked = check_model_pairs("tag", {key: value})

        def work(conn: Connection) -> None:
            models.lock_model(conn, self._workspace, name)
            models.set_model_tags(conn, self._workspace, name, checked)

        self._database.transact(work)

    def delete_model_tag(self, name: str, key: str) -> None:
        """Remove a tag of a model; one that isn't there is no error."""

        def work(conn: Connection) -> None:
            models.lock_model(conn, self._workspace, name)
            models.delete_model_tag(conn, self._workspace, name, key)

        self._database.transact(work)

    # Versions

    def create_version(
        self,
        name: str,
        source: str | None = None,
        *,
        run_id: str | None = None,
        model_id: str | None = None,
        tags: Mapping[str, str] | None = None,
        description: str = "",
        user_id: str = "",
        run_link: str | None = None,
        now: int,
    ) -> ModelVersion:
        """Create the next version of a model; see :func:`headgate.store.registry.versions.create_version`."""
        check_description(description)
        checked = check_model_pairs("tag", tags)
        return self._database.transact(
            lambda conn: versions.create_version(
                conn,
                self._workspace,
                name,
                source=source,
                run_id=run_id,
                model_id=model_id,
                tags=checked,
                description=description,
                user_id=user_id,
                run_link=run_link,
                now=now,
            )
        )

    def get_or_create_version(
        self,
        name: str,
        model_id: str,
        *,
        tags: Mapping[str, str] | None = None,
        description: str = "",
        user_id: str = "",
        now: int,
    ) -> ModelVersion:
        """Return the newest version that stands for a LoggedModel, made when there is none, and the model with it.

        Two processes that ask at once get the same version. ``tags`` are set on either; ``description`` and ``user_id``
        are those of a version that is made.
        """
        check_registered_model_name(name)
        check_description(description)
        checked = check_model_pairs("tag", tags)

        def work(conn: Connection) -> ModelVersion:
            models.ensure_model(conn, self._workspace, name, now=now)
            return versions.version_of_model(
                conn,
                self._workspace,
                name,
                model_id,
                tags=checked,
                description=description,
                user_id=user_id,
                now=now,
            )

        return self._database.transact(work)

    def get_version(self, name: str, version: int) -> ModelVersion:
        """Return a version with its tags and aliases."""
        return self._read(lambda conn: versions.read_version(conn, self._workspace, name, version))

    def search_versions(
        self,
        filter: str | None = None,  # noqa: A002  # MLflow's word
        *,
        order_by: Sequence[str] | None = None,
        max_results: int = 10_000,
        page_token: str | None = None,
    ) -> Page[ModelVersion]:
        """Return one page of the versions that match; see :func:`headgate.store.search.search_model_versions`.

        Raises:
            InvalidFilter: ``filter`` or ``order_by`` can't be read.
        """
        return search_model_versions(
            self._database, self._workspace, filter, order_by=order_by, max_results=max_results, page_token=page_token
        )

    def update_version(self, name: str, version: int, *, description: str | None, now: int) -> ModelVersion:
        """Change a version's description; None keeps it."""
        check_description(description)

        def work(conn: Connection) -> ModelVersion:
            versions.update_version(conn, self._workspace, name, version, description=description, now=now)
            return versions.read_version(conn, self._workspace, name, version)

        return self._database.transact(work)

    def delete_version(self, name: str, version: int, *, now: int) -> None:
        """Delete a version with its tags and aliases, unless it holds a guarded alias or stage."""

        def work(conn: Connection) -> None:
            stage = versions.lock_version(conn, self._workspace, name, version)
            self._require_unguarded_stage(conn, name, stage)
            for alias in aliases.aliases_of(conn, self._workspace, name, version):
                self._require_unguarded_alias(conn, name, alias)
            versions.delete_version(conn, self._workspace, name, version, now=now)

        self._database.transact(work)

    def set_version_tag(self, name: str, version: int, key: str, value: str) -> None:
        """Set a tag of a version."""
        checked = check_model_pairs("tag", {key: value})

        def work(conn: Connection) -> None:
            versions.lock_version(conn, self._workspace, name, version)
            versions.set_version_tags(conn, self._workspace, (name, version), checked)

        self._database.transact(work)

    def delete_version_tag(self, name: str, version: int, key: str) -> None:
        """Remove a tag of a version; one that isn't there is no error."""

        def work(conn: Connection) -> None:
            versions.lock_version(conn, self._workspace, name, version)
            versions.delete_version_tag(conn, self._workspace, (name, version), key)

        self._database.transact(work)

    def get_latest_versions(self, name: str, stages: Sequence[str] | None = None) -> tuple[ModelVersion, ...]:
        """Return the newest version in each stage, by number.

        Args:
            stages: in any case; None or empty for every stage.
        """
        wanted = _canonical(stages)

        def work(conn: Connection) -> tuple[ModelVersion, ...]:
            models.read_model(conn, self._workspace, name)
            return self._latest(conn, [name], wanted).get(name, ())

        return self._read(work)

    def latest_versions_of(self, names: Sequence[str]) -> Mapping[str, tuple[ModelVersion, ...]]:
        """Return the newest version in each stage of many models, in four statements; without any, none."""
        return self._read(lambda conn: self._latest(conn, names, _canonical(None)))

    def versions_of_logged_model(self, model_id: str) -> tuple[ModelVersion, ...]:
        """Return the versions that stand for a LoggedModel, by name and number."""
        return self._read(lambda conn: versions.versions_of_logged_model(conn, self._workspace, model_id))

    # Stages and aliases

    def transition_stage(
        self, name: str, version: int, stage: str, *, archive_existing_versions: bool = False, now: int
    ) -> ModelVersion:
        """Put a version into a stage: None, Staging, Production or Archived, in any case.

        Args:
            archive_existing_versions: move the others of that stage to Archived; only for Staging and Production.

        Raises:
            TargetGuarded: the stage it leaves or enters is guarded.
            StageRefused: the model's stage rules don't lead from the one to the other.
        """
        entered = stages.canonical_stage(stage)

        def work(conn: Connection) -> ModelVersion:
            left = versions.lock_version(conn, self._workspace, name, version)
            for touched in (left, entered):
                self._require_unguarded_stage(conn, name, touched)
            require_stage(
                conn,
                self._workspace,
                name,
                left,
                entered,
                version=version,
                archive_existing=archive_existing_versions,
            )
            stages.move_stage(
                conn, self._workspace, name, version, stage, archive_existing=archive_existing_versions, now=now
            )
            return versions.read_version(conn, self._workspace, name, version)

        return self._database.transact(work)

    def set_alias(self, name: str, alias: str, version: int) -> None:
        """Let an alias (without ``@``) name a version, whatever it named before."""
        check_new_alias_name(alias)

        def work(conn: Connection) -> None:
            versions.lock_version(conn, self._workspace, name, version)
            self._require_unguarded_alias(conn, name, alias)
            aliases.move_alias(conn, self._workspace, name, alias, version)

        self._database.transact(work)

    def delete_alias(self, name: str, alias: str) -> None:
        """Remove an alias; one that isn't there is no error."""
        check_alias_name(alias)

        def work(conn: Connection) -> None:
            models.lock_model(conn, self._workspace, name)
            self._require_unguarded_alias(conn, name, alias)
            aliases.remove_alias(conn, self._workspace, name, alias)

        self._database.transact(work)

    def get_version_by_alias(self, name: str, alias: str) -> ModelVersion:
        """Return the version that an alias names; ``latest`` names the newest.

        Raises:
            NotFound: ``kind`` is ``alias`` where MLflow answers INVALID_PARAMETER_VALUE.
        """
        check_alias_name(alias)
        return self._read(lambda conn: self._by_alias(conn, name, alias))

    # URIs

    def resolve_model_uri(self, uri: str) -> LoggedModel | ModelVersion:
        """Return what a ``models:/`` URI names now: a LoggedModel for ``models:/<model_id>``, else a version.

        ``models:/<name>/<version>``, ``models:/<name>/latest`` and ``models:/<name>/<stage>`` (the newest in it, in any
        case) and ``models:/<name>@<alias>`` are read.

        Raises:
            InvalidInput: not a ``models:/`` URI, or not a stage.
        """
        said = parse_model_uri(uri)

        def work(conn: Connection) -> LoggedModel | ModelVersion:
            if said.model_id is not None:
                return get_logged_model(conn, said.model_id)
            name = str(said.name)
            if said.version is not None:
                return versions.read_version(conn, self._workspace, name, said.version)
            if said.alias is not None:
                return self._by_alias(conn, name, said.alias)
            return self._newest_in(conn, name, said.stage)

        return self._read(work)

    def download_uri(self, name: str, version: int) -> str:
        """Return where the files of a version are: its source, with ``models:/`` sources followed to the end."""

        def work(conn: Connection) -> str:
            key = (name, version)
            for _ in range(_MAX_COPIES):
                found = versions.read_version(conn, self._workspace, *key)
                if not found.source.startswith("models:/"):
                    return found.source
                said = parse_model_uri(found.source)
                if said.name is None or said.version is None:
                    # The files outlive the mark of deletion on their LoggedModel.
                    model_id = str(said.model_id)
                    kept = read_logged_models(conn, [model_id], with_deleted=True).get(model_id)
                    if kept is None:
                        raise no_such_logged_model(model_id)
                    return kept.artifact_location
                key = (said.name, said.version)
            raise InvalidInput(
                f"The source of version {version} of {name!r} leads through more than {_MAX_COPIES} other versions.",
                remedy="Register the LoggedModel itself.",
                kind="model version",
                key=f"{name}/{version}",
            )

        return self._read(work)

    def _read(self, work: Callable[[Connection], T]) -> T:
        with self._database.read() as conn:
            return work(conn)

    def _latest(
        self, conn: Connection, names: Sequence[str], wanted: Sequence[str]
    ) -> Mapping[str, tuple[ModelVersion, ...]]:
        keys = versions.latest_version_keys(conn, self._workspace, names, wanted)
        found = versions.read_versions(conn, self._workspace, keys)
        grouped: dict[str, tuple[ModelVersion, ...]] = {}
        for key in keys:
            grouped[key[0]] = (*grouped.get(key[0], ()), found[key])
        return grouped

    def _by_alias(self, conn: Connection, name: str, alias: str) -> ModelVersion:
        if alias.lower() == "latest":
            return self._newest_in(conn, name, None)
        number = aliases.find_alias(conn, self._workspace, name, alias)
        if number is None:
            models.read_model(conn, self._workspace, name)
            raise NotFound(
                f"Registered model alias {alias} not found.",
                remedy=f"Set it first, or name another alias of {name!r}.",
                kind="alias",
                key=alias,
                name=name,
            )
        return versions.read_version(conn, self._workspace, name, number)

    def _newest_in(self, conn: Connection, name: str, stage: str | None) -> ModelVersion:
        models.read_model(conn, self._workspace, name)
        if stage is None:
            number = versions.newest_version(conn, self._workspace, name)
        else:
            holders = stages.stage_holders(conn, self._workspace, name, stages.canonical_stage(stage))
            number = holders[0] if holders else None
        if number is None:
            where = "" if stage is None else f" and stage '{stage}'"
            raise NotFound(
                f"No versions of model with name '{name}'{where} found.",
                remedy="Register a version first, or name another stage.",
                kind="model version",
                key=name,
                name=name,
            )
        return versions.read_version(conn, self._workspace, name, number)

    def _require_unguarded_alias(self, conn: Connection, name: str, alias: str) -> None:
        require_unguarded(conn, self._workspace, name, str(Target(alias=alias)))

    def _require_unguarded_stage(self, conn: Connection, name: str, stage: str) -> None:
        if stage in stages.ACTIVE_STAGES:
            require_unguarded(conn, self._workspace, name, str(Target(stage=stage)))


def _canonical(wanted: Sequence[str] | None) -> tuple[str, ...]:
    return tuple(dict.fromkeys(stages.canonical_stage(stage) for stage in wanted)) if wanted else stages.STAGES
