"""What may be searched for, per kind of object: its fields, their operators and values, and what it may be ordered by.

One table per kind of object; the grammar and the translation to SQL read them.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from dataclasses import field as data_field
from enum import Enum, StrEnum


class Operator(StrEnum):
    EQUAL = "="
    NOT_EQUAL = "!="
    LESS = "<"
    LESS_OR_EQUAL = "<="
    GREATER = ">"
    GREATER_OR_EQUAL = ">="
    LIKE = "LIKE"
    ILIKE = "ILIKE"
    IN = "IN"
    NOT_IN = "NOT IN"
    IS_NULL = "IS NULL"
    IS_NOT_NULL = "IS NOT NULL"


class Kind(StrEnum):
    """What a field is of; the words are those that messages use."""

    ATTRIBUTE = "attribute"
    METRIC = "metric"
    PARAM = "param"
    TAG = "tag"
    DATASET = "dataset"


class Values(Enum):
    """What a field is compared with."""

    TEXT = "text"
    NUMBER = "number"
    WHOLE = "whole number"
    # MLflow also takes version_number = '1'.
    WHOLE_OR_QUOTED = "whole number, perhaps in quotes"


@dataclass(frozen=True, slots=True)
class Field:
    """A field of an object: an attribute under its canonical name, or a metric, param or tag under its key."""

    kind: Kind
    key: str

    def __str__(self) -> str:
        if self.kind is Kind.ATTRIBUTE:
            return self.key
        plural = "" if self.kind is Kind.DATASET else "s"
        plain = self.key.replace("_", "").replace(".", "").isalnum()
        return f"{self.kind}{plural}.{self.key if plain else f'`{self.key}`'}"


@dataclass(frozen=True, slots=True)
class Unknown:
    """There is no such field: why, and what to write instead."""

    message: str
    remedy: str


Operators = frozenset[Operator]

EQUALITY: Operators = frozenset({Operator.EQUAL, Operator.NOT_EQUAL})
PATTERNS: Operators = EQUALITY | {Operator.LIKE, Operator.ILIKE}
LISTS: Operators = frozenset({Operator.IN, Operator.NOT_IN})
NULLS: Operators = frozenset({Operator.IS_NULL, Operator.IS_NOT_NULL})
NUMERIC: Operators = EQUALITY | {
    Operator.LESS,
    Operator.LESS_OR_EQUAL,
    Operator.GREATER,
    Operator.GREATER_OR_EQUAL,
}


@dataclass(frozen=True, slots=True)
class Attribute:
    """An attribute: how it is compared and what other names it goes by. Without operators it only orders."""

    operators: Operators = PATTERNS
    values: Values = Values.TEXT
    aliases: tuple[str, ...] = ()
    ordered: bool = True


@dataclass(frozen=True)
class Vocabulary:
    """The fields of one kind of object.

    Args:
        subject: the objects, in the plural, for messages.
        entities: what may stand before the dot → what it means.
        attributes: canonical name → how it is compared.
        compared: the operators of metrics, params, tags and datasets.
        dataset_keys: what may follow ``dataset.``.
        ordered: the kinds of fields that order_by takes.
    """

    subject: str
    entities: Mapping[str, Kind]
    attributes: Mapping[str, Attribute]
    compared: Mapping[Kind, Operators]
    dataset_keys: tuple[str, ...] = ()
    ordered: frozenset[Kind] = frozenset({Kind.ATTRIBUTE})
    _names: dict[str, str] = data_field(init=False, repr=False, default_factory=dict)

    def __post_init__(self) -> None:
        for name, attribute in self.attributes.items():
            for spelling in (name, *attribute.aliases):
                self._names[spelling] = name

    def find(self, entity: str | None, key: str) -> Field | Unknown:
        """Return the field that ``entity.key`` means; entity None means a bare attribute."""
        kind = Kind.ATTRIBUTE if entity is None else self.entities.get(entity)
        if kind is None:
            known = ", ".join(dict.fromkeys(self.entities))
            return Unknown(
                f"Invalid entity type {entity!r}", f"Fields of {self.subject} start with: {known} (case matters)."
            )
        if kind is Kind.ATTRIBUTE:
            if key not in self._names:
                return Unknown(
                    f"Invalid attribute key {key!r}",
                    f"Attributes of {self.subject} are {', '.join(self.attributes)}; others need their entity, such as "
                    f"tags.{key if key.isidentifier() else f'`{key}`'}.",
                )
            return Field(kind, self._names[key])
        if kind is Kind.DATASET and key not in self.dataset_keys:
            return Unknown(f"Invalid dataset key {key!r}", f"Use dataset.{', dataset.'.join(self.dataset_keys)}.")
        return Field(kind, key)

    def operators(self, field: Field) -> Operators:
        """Return what a field may be compared with."""
        if field.kind is Kind.ATTRIBUTE:
            return self.attributes[field.key].operators
        return self.compared[field.kind]

    def values(self, field: Field) -> Values:
        """Return what a field's values are."""
        if field.kind is Kind.ATTRIBUTE:
            return self.attributes[field.key].values
        return Values.NUMBER if field.kind is Kind.METRIC else Values.TEXT


_TIME = Attribute(NUMERIC, Values.NUMBER)
_WHOLE_TIME = Attribute(NUMERIC, Values.WHOLE)
_ORDER_ONLY_TIME = Attribute(frozenset(), Values.WHOLE)

_ATTRIBUTES = dict.fromkeys(("attributes", "attribute", "attr", "run"), Kind.ATTRIBUTE)
_METRICS = dict.fromkeys(("metrics", "metric"), Kind.METRIC)
_PARAMS = dict.fromkeys(("params", "param", "parameters", "parameter"), Kind.PARAM)
_TAGS = dict.fromkeys(("tags", "tag"), Kind.TAG)
_DATASETS = dict.fromkeys(("dataset", "datasets"), Kind.DATASET)
_PLAIN_ATTRIBUTES = dict.fromkeys(("attributes", "attribute"), Kind.ATTRIBUTE)

RUNS = Vocabulary(
    subject="runs",
    entities={**_METRICS, **_PARAMS, **_TAGS, **_ATTRIBUTES, **_DATASETS},
    attributes={
        "run_id": Attribute(PATTERNS | LISTS),
        "run_name": Attribute(aliases=("run name", "Run name", "Run Name")),
        "status": Attribute(),
        "user_id": Attribute(),
        "artifact_uri": Attribute(),
        "start_time": Attribute(NUMERIC, Values.NUMBER, aliases=("created", "Created")),
        "end_time": _TIME,
    },
    compared={
        Kind.METRIC: NUMERIC,
        Kind.PARAM: PATTERNS | NULLS,
        Kind.TAG: PATTERNS | NULLS,
        Kind.DATASET: PATTERNS | LISTS,
    },
    dataset_keys=("name", "digest", "context"),
    ordered=frozenset({Kind.ATTRIBUTE, Kind.METRIC, Kind.PARAM, Kind.TAG}),
)

EXPERIMENTS = Vocabulary(
    subject="experiments",
    entities={**_PLAIN_ATTRIBUTES, **_TAGS},
    attributes={
        "name": Attribute(),
        "experiment_id": Attribute(EQUALITY | LISTS),
        "creation_time": _WHOLE_TIME,
        "last_update_time": _WHOLE_TIME,
    },
    compared={Kind.TAG: PATTERNS | NULLS},
)

REGISTERED_MODELS = Vocabulary(
    subject="registered models",
    entities={**_PLAIN_ATTRIBUTES, **_TAGS},
    attributes={
        "name": Attribute(PATTERNS | LISTS),
        "creation_timestamp": _ORDER_ONLY_TIME,
        "last_updated_timestamp": Attribute(frozenset(), Values.WHOLE, aliases=("timestamp",)),
    },
    compared={Kind.TAG: PATTERNS},
)

MODEL_VERSIONS = Vocabulary(
    subject="model versions",
    entities={**_PLAIN_ATTRIBUTES, **_TAGS},
    attributes={
        "name": Attribute(PATTERNS | LISTS),
        "version_number": Attribute(NUMERIC, Values.WHOLE_OR_QUOTED),
        "run_id": Attribute(PATTERNS | LISTS, ordered=False),
        "source_path": Attribute(ordered=False),
        "creation_timestamp": _ORDER_ONLY_TIME,
        "last_updated_timestamp": _ORDER_ONLY_TIME,
    },
    compared={Kind.TAG: PATTERNS},
)

_ANY_TEXT = Attribute(PATTERNS | LISTS)

LOGGED_MODELS = Vocabulary(
    subject="logged models",
    entities={**_METRICS, **_PARAMS, **_TAGS, **_PLAIN_ATTRIBUTES},
    attributes={
        "model_id": _ANY_TEXT,
        "name": _ANY_TEXT,
        "status": _ANY_TEXT,
        "model_type": _ANY_TEXT,
        "source_run_id": _ANY_TEXT,
        "status_message": _ANY_TEXT,
        "artifact_location": _ANY_TEXT,
        "creation_timestamp": Attribute(
            NUMERIC, Values.NUMBER, aliases=("creation_time", "creation_timestamp_ms", "created")
        ),
        "last_updated_timestamp": Attribute(NUMERIC, Values.NUMBER, aliases=("last_updated_timestamp_ms",)),
    },
    compared={Kind.METRIC: NUMERIC, Kind.PARAM: PATTERNS | LISTS, Kind.TAG: PATTERNS | LISTS},
    ordered=frozenset({Kind.ATTRIBUTE, Kind.METRIC}),
)
