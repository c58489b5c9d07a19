from __future__ import annotations

from pathlib import Path
from textwrap import dedent

import pytest

from headgate.store.errors import InvalidProject
from headgate.tasks.environments.conda_file import read_conda_file
from headgate.tasks.environments.python_spec import PythonSpec


def read(directory: Path, content: str) -> PythonSpec:
    file = directory / "conda.yaml"
    file.write_text(dedent(content).lstrip())
    return read_conda_file(file)


def test_a_usual_file(tmp_path: Path) -> None:
    (tmp_path / "more.txt").touch()
    spec = read(
        tmp_path,
        """
        name: tutorial
        channels: [conda-forge, defaults]
        dependencies:
          - python=3.8.5
          - pip
          - setuptools<60
          - scikit-learn=1.2
          - conda-forge::NumPy>=1.20,<2
          - pytorch==2.1.0
          - pip:
            - mlflow>=3
            - -r more.txt
        variables: {OMP_NUM_THREADS: 1}
        """,
    )
    assert spec == PythonSpec(
        "3.8.5",
        ("pip", "setuptools<60"),
        ("scikit-learn==1.2.*", "numpy>=1.20,<2", "torch==2.1.0", "mlflow>=3", "-r more.txt"),
        tmp_path,
        {"OMP_NUM_THREADS": "1"},
    )


@pytest.mark.parametrize(
    ("entry", "requirement"),
    [
        ("pandas", "pandas"),
        ("pandas=1", "pandas==1.*"),
        ("pandas =1.5", "pandas==1.5.*"),
        ("pandas=1.5.*", "pandas==1.5.*"),
        ("pandas==1.5.*", "pandas==1.5.*"),
        ("pandas==1.5.1", "pandas==1.5.1"),
        ("pandas 1.5.1", "pandas==1.5.1"),
        ("pandas 1.5.*", "pandas==1.5.*"),
        ("pandas >=1.5, <2", "pandas>=1.5,<2"),
        ("pandas>=1.5.*", "pandas>=1.5"),
        ("pandas!=1.5", "pandas!=1.5"),
        ("pandas~=1.5", "pandas~=1.5"),
        ("matplotlib-base=3", "matplotlib==3.*"),
        ("librosa", "librosa"),
    ],
)
def test_versions(tmp_path: Path, entry: str, requirement: str) -> None:
    assert read(tmp_path, f"dependencies: ['{entry}']").dependencies == (requirement,)


@pytest.mark.parametrize(
    ("entry", "python"),
    [("python", None), ("python=3.11", "3.11"), ("python==3.11.7", "3.11.7"), ("python>=3.9,<3.12", ">=3.9,<3.12")],
)
def test_pythons(tmp_path: Path, entry: str, python: str | None) -> None:
    assert read(tmp_path, f"dependencies: ['{entry}']").python == python


def test_everything_that_is_not_carried_over_is_named(tmp_path: Path) -> None:
    with pytest.raises(InvalidProject) as caught:
        read(
            tmp_path,
            """
            dependencies:
              - python=3.11
              - numpy=1.26=py311h64a7726_0
              - cudatoolkit=11.8
              - bioconda::samtools
              - r-base
              - "pandas[version='>=1']"
              - pandas=1.2|1.3
            """,
        )
    assert caught.value.dependencies == (
        *("numpy=1.26=py311h64a7726_0", "cudatoolkit=11.8", "bioconda::samtools", "r-base"),
        *("pandas[version='>=1']", "pandas=1.2|1.3"),
    )
    assert caught.value.line == 3
    assert "conda.yaml:3: numpy=1.26=py311h64a7726_0 (a build of conda's own)" in caught.value.message
    assert "conda.yaml:5: bioconda::samtools (PyPI has no channel bioconda)" in caught.value.message
    assert "micromamba" in caught.value.remedy


@pytest.mark.parametrize(
    ("content", "line"),
    [
        ("[]", 1),
        ("dependencies: numpy", 1),
        ("dependencies:\n- numpy\n- 3\n", 3),
        ("dependencies:\n- conda: [x]\n", 2),
        ("dependencies:\n- pip: numpy\n", 2),
        ("dependencies:\n- pip:\n  - -r none.txt\n", 3),
        ("dependencies: []\nvariables: [A]\n", 2),
    ],
)
def test_mistakes(tmp_path: Path, content: str, line: int) -> None:
    with pytest.raises(InvalidProject) as caught:
        read(tmp_path, content)
    assert (caught.value.file, caught.value.line) == (str(tmp_path / "conda.yaml"), line)
