"""Every error that Headgate raises, in one tree.

::

    HeadgateError
    ├── Terminal                        a retry would say the same
    │   ├── InvalidInput                a value that a user gave (exit code 2)
    │   │   ├── InvalidSettings
    │   │   ├── InvalidFilter           a search expression
    │   │   ├── InvalidProject          an MLproject file, a project URI, an entry point or its parameters
    │   │   ├── InvalidPipeline         a pipeline file or the same thing in Python
    │   │   ├── InvalidGate             a gate file or the same thing in Python
    │   │   ├── InvalidSuite            a suite of expectations, or data that it can't be applied to
    │   │   ├── InvalidModel            a model that can't be logged or loaded
    │   │   ├── NotFound                no such object
    │   │   ├── AlreadyExists
    │   │   └── ParamChanged            params are written once
    │   ├── RunNotActive                a deleted run, or an attempt that a newer one has fenced off
    │   ├── EnvironmentUnavailable      a program that the environment needs is not on this machine
    │   ├── CorruptArtifact             the bytes are not those that were stored
    │   ├── SchemaOutdated              the database is older than the code: ``headgate db upgrade``
    │   ├── SchemaTooNew                the database is newer than the code
    │   ├── NothingMeasured             an evaluation left no metric on the model (exit code 3)
    │   ├── DataRejected                data don't meet their expectations (exit code 3)
    │   ├── GateRejected                the verdict says reject (exit code 3)
    │   ├── GateErrored                 evidence is missing or unusable (exit code 3)
    │   ├── GateHeld                    the verdict says hold (exit code 4)
    │   ├── StaleApproval               an approval for something that has changed since (exit code 3)
    │   └── PromotionRefused            (exit code 3)
    │       ├── VerdictUnusable         not passing, expired, already used, or for another candidate
    │       ├── ChampionChanged         another promotion came first
    │       ├── OlderThanChampion       a backfill would displace a newer champion
    │       ├── NotApproved             too few approved it, or somebody rejected it
    │       ├── NotPermitted            whoever asks may neither approve nor override here
    │       ├── StageRefused            the model's stage rules don't lead from the one stage to the other
    │       └── TargetGuarded           a guarded alias or stage moves only by a promotion
    └── Transient                       a retry may help (exit code 5)
        ├── StoreUnavailable
        ├── ArtifactStoreUnavailable
        ├── DataUnavailable             the database of data that are to be validated did not answer
        ├── ProjectUnavailable          the repository or archive of a project did not answer
        ├── EnvironmentBuildFailed
        ├── EntryPointFailed            the process ended with a code other than 0
        │   └── EntryPointTimedOut
        └── RunKilled                   a signal, a cancellation or a lost lease ended the run

Each error says what happened, to which object, and what to do next (``remedy``). Structured facts (``run_id``,
``file``, ``line``, …) are attributes. Errors survive pickling: orchestrators carry them between processes.
"""

from __future__ import annotations

from typing import Any, ClassVar


def _rebuild(cls: type[HeadgateError], message: str, remedy: str, attributes: dict[str, Any]) -> HeadgateError:
    return cls(message, remedy=remedy, **attributes)


class HeadgateError(Exception):
    """The root. ``retryable`` says whether a retry may help; ``exit_code`` is what the command line ends with.

    Args:
        message: what happened, and to which object.
        remedy: what to do next, one sentence; empty when there is nothing to do.
        **attributes: structured facts, picklable; each is readable as an attribute of the error.
    """

    retryable: ClassVar[bool] = False
    exit_code: ClassVar[int] = 5

    def __init__(self, message: str, *, remedy: str = "", **attributes: Any) -> None:
        super().__init__(message)
        self.message = message
        self.remedy = remedy
        self.attributes = attributes

    def __getattr__(self, name: str) -> Any:
        # Only called when the normal look-up fails; `attributes` itself is absent while unpickling.
        attributes = self.__dict__.get("attributes", {})
        if name in attributes:
            return attributes[name]
        raise AttributeError(f"{type(self).__name__} has no attribute {name!r}")

    def __str__(self) -> str:
        return f"{self.message} {self.remedy}" if self.remedy else self.message

    def __reduce__(self) -> tuple[Any, ...]:
        return _rebuild, (type(self), self.message, self.remedy, self.attributes)


class Terminal(HeadgateError):
    """A retry would end the same way; orchestrators must not spend one on it."""


class Transient(HeadgateError):
    """The infrastructure failed; a retry may help."""

    retryable = True


class InvalidInput(Terminal):
    """A value that a user gave is not acceptable. ``file`` and ``line`` are set when it stands in a file."""

    exit_code = 2


class InvalidSettings(InvalidInput):
    """A setting, a store URL or an artifact root is missing or wrong."""


class InvalidFilter(InvalidInput):
    """A search expression can't be read. ``position`` is the 0-based offset of the mistake."""


class InvalidProject(InvalidInput):
    """An MLproject file, a project URI, an entry point or its parameters are wrong."""


class InvalidPipeline(InvalidInput):
    """A pipeline can't work as it is written."""


class InvalidGate(InvalidInput):
    """A gate can't be read or can't decide anything."""


class InvalidSuite(InvalidInput):
    """A suite of expectations can't be read, or can't be applied to the data: nothing was found out about them."""


class InvalidModel(InvalidInput):
    """A model can't be logged or loaded."""


class NotFound(InvalidInput):
    """No such object. ``kind`` and ``key`` name it."""


class AlreadyExists(InvalidInput):
    """An object with this name exists. ``kind`` and ``key`` name it."""


class ParamChanged(InvalidInput):
    """Params are written once. ``run_id``, ``key``, ``old`` and ``new`` tell which."""


class RunNotActive(Terminal):
    """The run was deleted, or a newer attempt of the same work has fenced it off; nothing was written."""


class EnvironmentUnavailable(Terminal):
    """A program that the project's environment needs is not on this machine. ``program`` names it."""

    exit_code = 2


class CorruptArtifact(Terminal):
    """The bytes of an artifact are not those that were stored. ``uri``, ``expected`` and ``actual`` say which."""


class SchemaOutdated(Terminal):
    """The database was made by an older Headgate. ``current`` and ``head`` are revisions."""

    exit_code = 2


class SchemaTooNew(Terminal):
    """The database was made by a newer Headgate. ``current`` and ``head`` are revisions."""

    exit_code = 2


class NothingMeasured(Terminal):
    """An evaluation went well and left no metric with a dataset's digest on its model. ``run_id``, ``model_id``."""

    exit_code = 3


class DataRejected(Terminal):
    """Data don't meet the expectations of a suite. ``run_id`` names the run that keeps the report."""

    exit_code = 3


class GateRejected(Terminal):
    """The verdict says reject. ``verdict_id`` names it."""

    exit_code = 3


class GateErrored(Terminal):
    """The gate could not be decided: evidence is missing or unusable. ``verdict_id`` names the verdict."""

    exit_code = 3


class GateHeld(Terminal):
    """The verdict says hold: somebody has to look. ``verdict_id`` names it."""

    exit_code = 4


class ModelPromoted(Terminal):
    """The LoggedModel was promoted: its files, and that they are whole, stay as the gate judged them. ``model_id``."""

    exit_code = 3


class StaleApproval(Terminal):
    """The approval was given for something that has changed since."""

    exit_code = 3


class PromotionRefused(Terminal):
    """The store did not move the alias or stage; nothing was written."""

    exit_code = 3


class VerdictUnusable(PromotionRefused):
    """The verdict is missing, not passing, expired, already used, or for another candidate or target."""


class ChampionChanged(PromotionRefused):
    """The champion is no longer the one that the verdict was decided against: another promotion came first."""


class OlderThanChampion(PromotionRefused):
    """The candidate stands for older data than the champion (a backfill) and ``allow_older`` was not said."""


class NotApproved(PromotionRefused):
    """Too few approved the promotion, or somebody rejected it. ``verdict_id`` names it, ``rejected_by`` says who."""


class NotPermitted(PromotionRefused):
    """The guard does not let ``actor`` do this: approve, override, or change the guard itself."""


class StageRefused(PromotionRefused):
    """A version would jump a stage of its model's order, leave it, or be a second one where there is to be one."""


class TargetGuarded(PromotionRefused):
    """The alias or stage is guarded by a gate: only a promotion with its verdict moves it."""


class StoreUnavailable(Transient):
    """The database did not answer."""


class ArtifactStoreUnavailable(Transient):
    """The artifact store did not answer."""


class DataUnavailable(Transient):
    """The database that holds data did not answer."""


class ProjectUnavailable(Transient):
    """The repository or archive that holds a project did not answer. ``uri`` names it."""


class EnvironmentBuildFailed(Transient):
    """The environment could not be built; ``output`` holds the last lines of the builder."""


class EntryPointFailed(Transient):
    """The entry point ended with a code other than 0. ``run_id``, ``exit_code_of_process`` and ``tail`` say more."""


class EntryPointTimedOut(EntryPointFailed):
    """The entry point ran longer than it was allowed to and was stopped. ``timeout`` is in seconds."""


class RunKilled(Transient):
    """A signal, a cancellation or a lost lease ended the run; it is recorded as KILLED."""
