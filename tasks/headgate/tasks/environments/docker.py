"""``docker``: the entry point runs in a container of the project's image, with MLflow's volumes and variables."""

from __future__ import annotations

import os
import shutil
import subprocess
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

from headgate.store.errors import EnvironmentUnavailable, InvalidProject
from headgate.tasks.environments.protocol import Builder, EnvironmentName, Launch, Task
from headgate.tasks.projects.model import DockerEnvironment

# Where MLflow puts a project's files in an image.
WORKDIR = "/mlflow/projects/code"

_ANSWER_SECONDS = 30


def require_docker() -> str:
    """Return the path of docker.

    Raises:
        EnvironmentUnavailable: the program is not there, or its daemon does not answer.
    """
    program = shutil.which("docker")
    if program is None:
        raise EnvironmentUnavailable(
            "The project runs in docker, and docker is not on this machine.", remedy="Install docker.", program="docker"
        )
    asked = [program, "version", "--format", "{{.Server.Version}}"]
    try:
        answer = subprocess.run(
            asked, capture_output=True, text=True, errors="replace", timeout=_ANSWER_SECONDS, check=False
        )
        complaint = None if answer.returncode == 0 else answer.stderr.strip() or f"code {answer.returncode}"
    except subprocess.TimeoutExpired:
        complaint = f"no answer within {_ANSWER_SECONDS} s"
    if complaint is not None:
        raise EnvironmentUnavailable(
            f"The project runs in docker, and no docker daemon answers: {complaint}.",
            remedy="Start docker, or choose another environment.",
            program="docker",
        )
    return program


@dataclass(frozen=True, slots=True)
class DockerContainer:
    """A container per run, removed when the run ends.

    The project's folder is its working directory, at MLflow's place for it. The store, the artifact root (where they
    are files) and the paths among the parameters are mounted where they are, so that their paths mean the same inside.

    Args:
        program: path of docker.
        spec: what the MLproject file says.
        owner: the project's name, for messages.
    """

    program: str
    spec: DockerEnvironment
    owner: str

    @property
    def name(self) -> EnvironmentName:
        return EnvironmentName.DOCKER

    @property
    def summary(self) -> Mapping[str, str]:
        return {"image": self.spec.image}

    def check(self) -> None:
        """Raise :class:`InvalidProject` when a variable that the container copies is not set here."""
        missing = [name for name, value in self.spec.environment.items() if value is None and name not in os.environ]
        if missing:
            raise InvalidProject(
                f"The container of project {self.owner!r} copies variables that are not set: {', '.join(missing)}.",
                remedy="Set them, or give them a value in the MLproject file.",
                variables=tuple(missing),
            )

    def prepare(self, builder: Builder) -> Mapping[str, str]:
        image = self._image_id()
        if image is None:
            builder.run(
                (self.program, "pull", self.spec.image),
                directory=Path.cwd(),
                variables=os.environ,
                what=f"the container of project {self.owner!r}",
                remedy="Check the image's name and that docker may pull it, or try again.",
            )
            image = self._image_id()
        tags = {"mlflow.docker.image.uri": self.spec.image, "mlflow.docker.image.id": image}
        return {key: value for key, value in tags.items() if value is not None}

    def launch(self, task: Task) -> Launch:
        container = f"headgate-{task.run_id}"
        arguments = (
            # The host's network: the run's endpoint listens on the host's loopback, and nowhere else.
            *(self.program, "run", "--rm", "--init", "--network", "host", "--name", container),
            *("--volume", f"{task.directory}:{WORKDIR}", "--workdir", WORKDIR),
            *(part for mount in self._mounts(task) for part in ("--volume", mount)),
            *(part for variable in self._variables(task) for part in ("--env", variable)),
            *(self.spec.image, "sh", "-c", task.command),
        )
        clean_up = (self.program, "rm", "--force", container)
        return Launch(arguments, task.directory, {**os.environ, **task.variables}, clean_up)

    def _mounts(self, task: Task) -> Iterator[str]:
        yield from (f"{path}:{path}" for path in dict.fromkeys(task.paths))
        yield from self.spec.volumes

    def _variables(self, task: Task) -> Iterator[str]:
        """Yield names alone where docker finds the value in its own environment: no secret is on its command line."""
        yield from task.variables
        for name, value in self.spec.environment.items():
            yield name if value is None else f"{name}={value}"

    def _image_id(self) -> str | None:
        asked = [self.program, "image", "inspect", "--format", "{{.Id}}", self.spec.image]
        answer = subprocess.run(asked, capture_output=True, text=True, errors="replace", check=False)
        return answer.stdout.strip() if answer.returncode == 0 else None
