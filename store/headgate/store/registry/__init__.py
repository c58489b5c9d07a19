"""The model registry: registered models, their versions, aliases and stages. The names below load on first use."""

from __future__ import annotations

from typing import TYPE_CHECKING

from headgate.store.face import lazy_face

_NAMES = {
    "ModelUri": ".model_uri",
    "Registry": ".registry",
    "canonical_stage": ".stages",
    "create_version": ".versions",
    "find_alias": ".aliases",
    "move_alias": ".aliases",
    "move_stage": ".stages",
    "parse_model_uri": ".model_uri",
    "read_version": ".versions",
    "remove_alias": ".aliases",
    "stage_holders": ".stages",
    "versions_of_logged_model": ".versions",
}

if TYPE_CHECKING:
    from headgate.store.registry.aliases import find_alias as find_alias
    from headgate.store.registry.aliases import move_alias as move_alias
    from headgate.store.registry.aliases import remove_alias as remove_alias
    from headgate.store.registry.model_uri import ModelUri as ModelUri
    from headgate.store.registry.model_uri import parse_model_uri as parse_model_uri
    from headgate.store.registry.registry import Registry as Registry
    from headgate.store.registry.stages import canonical_stage as canonical_stage
    from headgate.store.registry.stages import move_stage as move_stage
    from headgate.store.registry.stages import stage_holders as stage_holders
    from headgate.store.registry.versions import create_version as create_version
    from headgate.store.registry.versions import read_version as read_version
    from headgate.store.registry.versions import versions_of_logged_model as versions_of_logged_model

__all__ = [
    "ModelUri",
    "Registry",
    "canonical_stage",
    "create_version",
    "find_alias",
    "move_alias",
    "move_stage",
    "parse_model_uri",
    "read_version",
    "remove_alias",
    "stage_holders",
    "versions_of_logged_model",
]
__getattr__, __dir__ = lazy_face(__name__, _NAMES)
