"""What the plain words of a YAML file mean: the core schema of YAML 1.2, in every file of Headgate's own.

So numbers and words are read the way people mean them, and the same in a gate file as in a pipeline file: ``1e-3`` and
``010`` are numbers, and ``12:30``, ``no`` and ``2026-11-21`` are texts. MLproject files, and what MLflow writes, are
read as MLflow reads them: by YAML 1.1.
"""

from __future__ import annotations

import re
from typing import Any

import yaml

_TAG = "tag:yaml.org,2002:"
MERGE_TAG = f"{_TAG}merge"


class WordsLoader(yaml.SafeLoader):
    """SafeLoader with the resolvers of YAML 1.2's core schema; it is only used to compose.

    Pure Python on purpose: the loader on libyaml is faster, and crashes the process on a deeply nested file.
    """

    yaml_implicit_resolvers: dict[str, Any] = {}  # noqa: RUF012 - PyYAML's own class attribute, replaced whole


for _kind, _pattern, _first in (
    ("null", r"(?:null|Null|NULL|~|)", ["n", "N", "~", ""]),
    ("bool", r"(?:true|True|TRUE|false|False|FALSE)", list("tTfF")),
    ("int", r"[-+]?[0-9]+|0o[0-7]+|0x[0-9a-fA-F]+", list("-+0123456789")),
    ("float", r"[-+]?(?:\.[0-9]+|[0-9]+(?:\.[0-9]*)?)(?:[eE][-+]?[0-9]+)?", list("-+.0123456789")),
    ("float", r"[-+]?\.(?:inf|Inf|INF)|\.(?:nan|NaN|NAN)", list("-+.")),
    ("merge", r"<<", ["<"]),
):
    WordsLoader.add_implicit_resolver(f"{_TAG}{_kind}", re.compile(rf"^(?:{_pattern})$"), _first)


def scalar_value(node: yaml.Node) -> str | int | float | bool | None:
    """Return what a scalar that was composed by :class:`WordsLoader` means.

    Raises:
        ValueError: it has a tag of its own, or is a number that is none.
    """
    text, kind = str(node.value), node.tag.removeprefix(_TAG)
    match kind:
        case "null":
            return None
        case "bool":
            return text.lower() == "true"
        case "int":
            return int(text, 0) if text[:2] in ("0o", "0x") else int(text)
        case "float":
            return float(text.replace(".inf", "inf").replace(".nan", "nan").lower())
        case "str" | "merge":
            return text
    raise ValueError(f"{text!r} has the tag {node.tag!r}")
