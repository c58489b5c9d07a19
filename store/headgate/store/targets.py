"""What a promotion moves, an alias (``@champion``) or a stage (``stage:Production``) of a registered model, and who."""

from __future__ import annotations

from dataclasses import dataclass

from headgate.store.alias_names import check_new_alias_name
from headgate.store.errors import InvalidInput

PROMOTION_STAGES = ("Staging", "Production")

_MAX_ACTOR = 256


@dataclass(frozen=True, slots=True)
class Target:
    """Exactly one of the two is set."""

    alias: str | None = None
    stage: str | None = None

    def __str__(self) -> str:
        return f"@{self.alias}" if self.alias is not None else f"stage:{self.stage}"


def parse_target(text: str) -> Target:
    """Read ``@alias`` or ``stage:Name``.

    Stages are MLflow's, in any case: a promotion leads to Staging or Production. Alias names follow MLflow's rules:
    letters, digits, ``_`` and ``-``; not ``latest``, and nothing like ``v1``.

    Raises:
        InvalidInput: neither of the two forms, or a name that MLflow would not take.
    """
    if text.startswith("@"):
        try:
            check_new_alias_name(text[1:])
        except InvalidInput as error:
            raise InvalidInput(
                f"{text!r} is not an alias that a model can have.",
                remedy="Use letters, digits, _ and -, but neither `latest` nor a version such as `v1`.",
            ) from error
        return Target(alias=text[1:])
    if text.lower().startswith("stage:"):
        for stage in PROMOTION_STAGES:
            if text[len("stage:") :].lower() == stage.lower():
                return Target(stage=stage)
        raise InvalidInput(
            f"{text!r} is not a stage that a promotion leads to.",
            remedy=f"Use {' or '.join(f'stage:{stage}' for stage in PROMOTION_STAGES)}.",
        )
    raise InvalidInput(
        f"{text!r} is not the target of a promotion.",
        remedy="Write an alias as @champion, a stage as stage:Production.",
    )


def checked_actor(actor: str) -> str:
    """Return the name of who acts, when the records can hold it.

    Raises:
        InvalidInput: it is longer than 256 characters.
    """
    if len(actor) > _MAX_ACTOR:
        raise InvalidInput(
            f"The actor's name has {len(actor)} characters.", remedy=f"Give a name of at most {_MAX_ACTOR} characters."
        )
    return actor
