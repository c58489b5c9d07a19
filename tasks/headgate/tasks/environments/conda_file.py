"""A ``conda.yaml`` read for uv: Python's version, the pip section, and packages that have the same name on PyPI.

What can't be carried over is an error that names it; nothing is left out silently, as MLflow's ``virtualenv`` does.
"""

from __future__ import annotations

import re
from collections.abc import Hashable, Iterator
from pathlib import Path
from typing import Any

from headgate.store.errors import InvalidProject
from headgate.tasks.environments.python_spec import PythonSpec, requirement_lines
from headgate.tasks.projects.located_yaml import LocatedYaml, read_yaml
from headgate.tasks.projects.values import text_of

_SPEC = re.compile(r"(?:(?P<channel>[^\s:]+)::)?(?P<name>[\w.-]+)\s*(?P<version>[^\[]*?)")
_VERSION = re.compile(r"(?P<sign>[<>=!~]=|[<>]|={1,2})?\s*(?P<number>\d[\w.]*(?:\.?\*)?)")
_COMMON_CHANNELS = ("anaconda", "conda-forge", "defaults", "main", "pkgs/main", "pytorch", "nvidia")

_BUILD_PACKAGES = ("pip", "setuptools", "wheel")
# Conda's name → PyPI's, where the same thing is called differently.
_RENAMED = {
    "matplotlib-base": "matplotlib",
    "msgpack-python": "msgpack",
    "opencv": "opencv-python",
    "py-opencv": "opencv-python",
    "py-xgboost": "xgboost",
    "py-xgboost-cpu": "xgboost",
    "pytables": "tables",
    "python-graphviz": "graphviz",
    "pytorch": "torch",
    "pytorch-cpu": "torch",
}
# Not Python packages. On PyPI such a name is missing, or means something else.
_NOT_PYTHON = re.compile(
    r"_.*|r-.*|lib(?:gcc|stdcxx|gfortran|gomp|blas|lapack|cblas|openblas|ffi|uuid|zlib|sqlite|xcrypt|nsl|expat|png|jpeg"
    r"|tiff|curl|xml2|boost|protobuf|cxx).*|.*_(?:linux|osx|win)-.*|bzip2|c-compiler|ca-certificates|compilers|cudatoolkit"
    r"|cuda-.*|cudnn|cxx-compiler|fortran-compiler|gcc|gfortran|graphviz|gxx|hdf5|icu|ld_impl.*|make|mamba|nccl|ncurses"
    r"|nodejs|openjdk|openssl|perl|pkg-config|pytorch-cuda|readline|ruby|rust|sqlite|tk|xz|zlib|zstd|java-jdk|git|gdal"
)


def read_conda_file(file: Path) -> PythonSpec:
    """Read a ``conda.yaml`` as what uv can build.

    Raises:
        InvalidProject: the file is wrong, or has something that no PyPI package stands for; all of it is named.
    """
    content = read_yaml(file)
    value = {} if content.value is None else content.value
    dependencies = value.get("dependencies") if isinstance(value, dict) else None
    if not isinstance(dependencies, list):
        raise content.mistake("A conda file must have a list of dependencies.", remedy="Write `dependencies:`.")
    reading = _Reading(content)
    for index, entry in enumerate(dependencies):
        reading.take(entry, "dependencies", index)
    if reading.refused:
        raise reading.refusal()
    variables = value.get("variables") or {}
    if not isinstance(variables, dict):
        raise content.mistake("variables must be a mapping.", "variables", remedy="Write `NAME: value` lines.")
    return PythonSpec(
        reading.python,
        tuple(reading.build_dependencies),
        (*reading.packages, *reading.pip),
        file.parent,
        {str(name): text_of(variable) for name, variable in variables.items()},
    )


class _Reading:
    def __init__(self, content: LocatedYaml) -> None:
        self.content = content
        self.python: str | None = None
        self.build_dependencies: list[str] = []
        self.packages: list[str] = []
        self.pip: list[str] = []
        self.refused: list[tuple[str, str, int | None]] = []

    def take(self, entry: Any, *path: Hashable) -> None:
        if isinstance(entry, dict) and list(entry) == ["pip"]:
            self.pip += requirement_lines(self.content, entry["pip"], self.content.file.parent, *path, "pip")
        elif isinstance(entry, str):
            self._package(entry, *path)
        else:
            raise self.content.mistake(
                f"{entry!r} is not a conda dependency.", *path, remedy="Write a package, or `pip:` and a list."
            )

    def _package(self, entry: str, *path: Hashable) -> None:
        spec = _SPEC.fullmatch(entry.strip())
        reason = "not a form that can be translated" if spec is None else _reason_against(spec)
        if spec is None or reason is not None:
            self.refused.append((entry, reason or "", self.content.line(*path)))
            return
        name = spec["name"].lower()
        versions = ",".join(_versions(spec["version"]))
        if name == "python":
            self.python = versions.removeprefix("==").removesuffix(".*") or None
        elif name in _BUILD_PACKAGES:
            self.build_dependencies.append(name + versions)
        else:
            self.packages.append(_RENAMED.get(name, name) + versions)

    def refusal(self) -> InvalidProject:
        listed = "\n".join(f"  {self.content.file}:{line}: {entry} ({why})" for entry, why, line in self.refused)
        return InvalidProject(
            f"{self.content.file} has what a virtualenv can't hold:\n{listed}\n",
            remedy="Install conda, mamba or micromamba, or write a python_env.yaml.",
            file=str(self.content.file),
            line=self.refused[0][2],
            dependencies=tuple(entry for entry, _, _ in self.refused),
        )


def _reason_against(spec: re.Match[str]) -> str | None:
    if spec["channel"] is not None and spec["channel"] not in _COMMON_CHANNELS:
        return f"PyPI has no channel {spec['channel']}"
    if _NOT_PYTHON.fullmatch(spec["name"].lower()):
        return "not a Python package"
    version = spec["version"].strip()
    if re.fullmatch(r"={1,2}[^=]+=.+|[^=<>!~\s]+\s+\S+", version):
        return "a build of conda's own"
    try:
        list(_versions(version))
    except ValueError as error:
        return str(error)
    return None


def _versions(text: str) -> Iterator[str]:
    """Yield the constraints of a conda version in pip's words: conda's ``=1.2`` is pip's ``==1.2.*``."""
    for part in text.split(",") if text.strip() else []:
        match = _VERSION.fullmatch(part.strip())
        if match is None:
            raise ValueError("not a version that pip understands")
        sign, number = match["sign"] or "==", match["number"]
        if sign == "=":
            sign, number = "==", f"{number.rstrip('.*')}.*"
        elif number.endswith("*"):
            number = f"{number.rstrip('.*')}.*" if sign in ("==", "!=") else number.rstrip(".*")
        yield sign + number
