from __future__ import annotations

from pathlib import Path
from textwrap import dedent

import pytest

from headgate.store.errors import InvalidProject
from headgate.tasks.projects.mlproject import find_entry_point, read_project
from headgate.tasks.projects.model import EnvironmentKind


def write(directory: Path, content: str, name: str = "MLproject") -> Path:
    path = directory / name
    path.write_text(dedent(content).lstrip())
    return path


def refused(directory: Path, content: str) -> InvalidProject:
    write(directory, content)
    with pytest.raises(InvalidProject) as caught:
        read_project(directory)
    assert caught.value.remedy
    return caught.value


def test_reads_what_mlflow_reads(tmp_path: Path) -> None:
    (tmp_path / "env.yaml").touch()
    file = write(
        tmp_path,
        """
        name: tutorial
        python_env: env.yaml
        entry_points:
          main:
            parameters:
              alpha: float
              l1_ratio: {type: float, default: 0.1}
              data: {type: path, default: null}
              mode: {default: fast}
              epochs:
                type: int
                default: 3
            command: "python train.py {alpha} {l1_ratio}"
          validate:
            command: "python validate.py"
        """,
    )
    project = read_project(tmp_path)
    assert project.name == "tutorial"
    assert project.file == file
    assert project.environment is not None
    assert (project.environment.kind, project.environment.path) == (EnvironmentKind.PYTHON, tmp_path / "env.yaml")
    main = project.entry_points["main"]
    assert main.command == "python train.py {alpha} {l1_ratio}"
    assert {p.name: (p.type, p.default, p.line) for p in main.parameters.values()} == {
        "alpha": ("float", None, 6),
        "l1_ratio": ("float", "0.1", 7),
        "data": ("path", None, 8),
        "mode": ("string", "fast", 9),
        "epochs": ("int", "3", 10),
    }
    assert [name for name, p in main.parameters.items() if p.required] == ["alpha", "data"]
    assert project.entry_points["validate"].line == 14
    assert project.notes == ()


@pytest.mark.parametrize("name", ["MLproject", "mlproject", "MLProject"])
def test_file_name_in_any_case(tmp_path: Path, name: str) -> None:
    write(tmp_path, "name: x\n", name)
    assert read_project(tmp_path).file == tmp_path / name


def test_name_defaults_to_the_folder(tmp_path: Path) -> None:
    write(tmp_path, "entry_points: {main: {command: echo}}")
    assert read_project(tmp_path).name == tmp_path.name


def test_empty_file_is_a_project_without_entry_points(tmp_path: Path) -> None:
    write(tmp_path, "")
    project = read_project(tmp_path)
    assert project.entry_points == {}
    assert project.environment is None


def test_unknown_keys_are_tolerated_and_noted(tmp_path: Path) -> None:
    write(
        tmp_path,
        """
        entry_point: {}
        entry_points:
          main:
            comand: x
            command: "true"
            parameters:
              a: {type: int, defualt: 3}
        """,
    )
    notes = read_project(tmp_path).notes
    assert len(notes) == 3
    assert "MLproject:1: entry_point is not used; did you mean 'entry_points'?" in notes[0]
    assert "MLproject:4: entry_points.main.comand is not used; did you mean 'command'?" in notes[1]
    assert "MLproject:7: entry_points.main.parameters.a.defualt is not used" in notes[2]


def test_a_key_that_stands_twice_is_noted(tmp_path: Path) -> None:
    write(
        tmp_path,
        """
        entry_points:
          main: {command: "echo 1"}
          main: {command: "echo 2"}
        """,
    )
    project = read_project(tmp_path)
    assert project.entry_points["main"].command == "echo 2"
    assert [note.split(": ", 1)[1] for note in project.notes] == [
        "entry_points.main stands twice; the last one counts."
    ]


def test_merge_keys_are_not_repetitions(tmp_path: Path) -> None:
    write(
        tmp_path,
        """
        common: &common {type: int, default: 1}
        entry_points:
          main:
            parameters:
              a: {<<: *common, default: 2}
            command: "true"
        """,
    )
    project = read_project(tmp_path)
    assert project.entry_points["main"].parameters["a"].default == "2"
    assert len(project.notes) == 1


@pytest.mark.parametrize(
    ("content", "line", "says"),
    [
        ("entry_points: [", 1, "not YAML"),
        ("a: 1\n b: 2\n", 2, "not YAML"),
        ("- main\n", 1, "must be a mapping"),
        ("entry_points: [main]\n", 1, "entry_points must be a mapping"),
        ("name: x\nentry_points:\n  main: python\n", 3, "'main' must be a mapping"),
        ("entry_points:\n  main:\n    parameters: {}\n", 2, "'main' has no command"),
        ("entry_points:\n  main:\n    command: [a]\n", 3, "'main' has no command"),
        ("entry_points:\n  main:\n    command: x\n    parameters: [a]\n", 4, "must be a mapping"),
        (
            "entry_points:\n  main:\n    command: x\n    parameters:\n      a:\n",
            5,
            "'a' of entry point 'main' has no type",
        ),
        ("entry_points: {main: {command: x, parameters: {a: {type: [int]}}}}", 1, "must be a word"),
        ("python_env: a\nconda_env: b\n", 2, "2 environments: python_env, conda_env"),
        ("python_env: env.yaml\n", 1, "no such file"),
        ("conda_env: 3\n", 1, "must name a file"),
        ("docker_env: {name: x}\n", 1, "no image"),
        ("docker_env:\n  image: x\n  volumes: a:b\n", 3, "volumes must be a list of strings"),
        ("docker_env:\n  image: x\n  environment:\n  - A\n  - [B]\n", 5, "environment must be a list"),
        ("docker_env:\n  image: x\n  environment: {A: b}\n", 3, "environment must be a list"),
        ("a: 2026-13-45\n", None, "not YAML"),
    ],
)
def test_mistakes_are_shown_where_they_stand(tmp_path: Path, content: str, line: int | None, says: str) -> None:
    error = refused(tmp_path, content)
    assert says in error.message
    assert (error.file, error.line) == (str(tmp_path / "MLproject"), line)
    if line is not None:
        assert error.message.startswith(f"{tmp_path / 'MLproject'}:{line}: ")


def test_wrong_environment_file_names_the_closest(tmp_path: Path) -> None:
    (tmp_path / "conda.yml").touch()
    assert refused(tmp_path, "conda_env: conda.yaml\n").remedy == "Did you mean 'conda.yml'?"


def test_a_file_that_is_no_text(tmp_path: Path) -> None:
    (tmp_path / "MLproject").write_bytes(b"name: \xff\xfe")
    with pytest.raises(InvalidProject, match="not UTF-8"):
        read_project(tmp_path)


def test_docker_forms(tmp_path: Path) -> None:
    write(
        tmp_path,
        """
        docker_env:
          image: registry/image:1
          volumes: ["/a:/b"]
          environment: [["NEW", 1], "COPIED"]
        """,
    )
    environment = read_project(tmp_path).environment
    assert environment is not None
    assert environment.docker is not None
    assert environment.docker.image == "registry/image:1"
    assert environment.docker.volumes == ("/a:/b",)
    assert environment.docker.environment == {"NEW": "1", "COPIED": None}


def test_usual_environment_files_count_as_declared(tmp_path: Path) -> None:
    assert read_project(tmp_path).environment is None
    (tmp_path / "conda.yaml").touch()
    environment = read_project(tmp_path).environment
    assert environment is not None
    assert environment.kind is EnvironmentKind.CONDA
    (tmp_path / "python_env.yaml").touch()
    write(tmp_path, "name: x\npython_env:\n")
    environment = read_project(tmp_path).environment
    assert environment is not None
    assert environment.kind is EnvironmentKind.PYTHON


@pytest.mark.parametrize(
    ("script", "command"),
    [("train.py", "python train.py"), ("a b.py", "python 'a b.py'"), ("{x}.py", "python '{{x}}.py'")],
)
def test_scripts_are_entry_points(tmp_path: Path, script: str, command: str) -> None:
    (tmp_path / script).touch()
    assert find_entry_point(read_project(tmp_path), script).command == command


@pytest.mark.parametrize(("shell", "command"), [("/bin/zsh", "/bin/zsh run.sh"), (None, "bash run.sh")])
def test_shell_scripts_run_in_the_users_shell(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, shell: str | None, command: str
) -> None:
    if shell is None:
        monkeypatch.delenv("SHELL", raising=False)
    else:
        monkeypatch.setenv("SHELL", shell)
    (tmp_path / "run.sh").touch()
    assert find_entry_point(read_project(tmp_path), "run.sh").command == command


@pytest.mark.parametrize(
    ("entry_point", "remedy"),
    [
        ("trian", "Did you mean 'train'?"),
        ("prepar.py", "Did you mean 'prepare.py'?"),
        ("zzz", "There are: train, prepare.py."),
    ],
)
def test_unknown_entry_point(tmp_path: Path, entry_point: str, remedy: str) -> None:
    (tmp_path / "prepare.py").touch()
    write(tmp_path, "name: p\nentry_points: {train: {command: x}}")
    with pytest.raises(InvalidProject, match="no entry point") as caught:
        find_entry_point(read_project(tmp_path), entry_point)
    assert caught.value.remedy == remedy


def test_a_folder_with_nothing_to_run(tmp_path: Path) -> None:
    with pytest.raises(InvalidProject, match="has no MLproject file, and 'main' is not a script") as caught:
        find_entry_point(read_project(tmp_path), "main")
    assert "Add an MLproject file" in caught.value.remedy
