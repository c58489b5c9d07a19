"""The files that say which environment a model needs."""

from __future__ import annotations

import platform
from collections.abc import Sequence

import yaml

from headgate.store.errors import InvalidModel

REQUIREMENTS_FILE = "requirements.txt"
PYTHON_ENV_FILE = "python_env.yaml"
CONDA_FILE = "conda.yaml"


def environment_files(requirements: Sequence[str]) -> dict[str, str]:
    """Return file name → content: for pip, for virtualenv and for conda, all saying the same.

    Raises:
        InvalidModel: a requirement is no single non-empty line.
    """
    if isinstance(requirements, str):
        raise InvalidModel("requirements is a string.", remedy="Give a list of lines, such as ['scikit-learn==1.6.1'].")
    for line in requirements:
        if not isinstance(line, str) or not line.strip() or "\n" in line:
            raise InvalidModel(
                f"{line!r} is no requirement.", remedy="Give one line of a requirements.txt each, such as 'numpy>=2'."
            )
    python = platform.python_version()
    python_env = {
        "python": python,
        "build_dependencies": ["pip", "setuptools", "wheel"],
        "dependencies": [f"-r {REQUIREMENTS_FILE}"],
    }
    conda = {
        "name": "mlflow-env",
        "channels": ["conda-forge"],
        "dependencies": [f"python={python}", "pip", *([{"pip": list(requirements)}] if requirements else [])],
    }
    return {
        REQUIREMENTS_FILE: "".join(f"{line}\n" for line in requirements),
        PYTHON_ENV_FILE: yaml.safe_dump(python_env, sort_keys=False),
        CONDA_FILE: yaml.safe_dump(conda, sort_keys=False),
    }
