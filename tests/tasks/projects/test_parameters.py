from __future__ import annotations

import os
import shlex
import subprocess
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import SecretStr

from headgate.store.errors import ArtifactStoreUnavailable, InvalidProject
from headgate.tasks.projects.model import EntryPoint, Parameter
from headgate.tasks.projects.parameters import (
    BoundParameter,
    bind_parameters,
    check_value,
    download_paths,
    render_command,
)


def entry_point(command: str = "echo", **parameters: str | tuple[str, str]) -> EntryPoint:
    """Declare parameters as name="type" or name=("type", "default")."""
    declared = {
        name: Parameter(name, declaration, None, line)
        if isinstance(declaration, str)
        else Parameter(name, *declaration, line)
        for line, (name, declaration) in enumerate(parameters.items(), start=5)
    }
    return EntryPoint("main", command, declared, Path("/p/MLproject"), 3)


def bind(
    point: EntryPoint, given_values: Mapping[str, Any] | None = None, here: Path = Path("/"), project: Path = Path("/")
) -> dict[str, BoundParameter]:
    bound = bind_parameters(point, given_values, working_directory=here, project_directory=project)
    return {parameter.name: parameter for parameter in bound}


def command(point: EntryPoint, given_values: Mapping[str, Any] | None = None) -> str:
    return render_command(point, list(bind(point, given_values).values())).text


def test_declared_defaults_and_extra_parameters() -> None:
    point = entry_point("train {a} {b}", a="float", b=("int", "3"))
    bound = bind(point, {"extra": "x y", "a": 0.5})
    assert {name: parameter.text for name, parameter in bound.items()} == {"a": "0.5", "b": "3", "extra": "x y"}
    assert list(bound) == ["a", "b", "extra"]
    assert command(point, {"extra": "x y", "a": 0.5, "odd key": 1}) == "train 0.5 3 --extra 'x y' --'odd key' 1"


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (True, "True"),
        (3, "3"),
        (1e-5, "1e-05"),
        ("", ""),
        (Path("/x"), "/x"),
        ([1, "a"], '[1, "a"]'),
        ({"a": None}, '{"a": null}'),
        (SecretStr("s"), "s"),
    ],
)
def test_values_as_text(value: Any, text: str) -> None:
    assert bind(entry_point(), {"x": value})["x"].text == text


def test_none_counts_as_not_given() -> None:
    assert bind(entry_point(a=("int", "3")), {"a": None})["a"].text == "3"
    assert bind(entry_point(), {"a": None}) == {}


@pytest.mark.parametrize(
    ("kind", "good", "bad"),
    [
        ("float", ["0.1", "-3", "1e-5", "nan", "inf", " 2 "], ["", "notafloat", "0,1", "True"]),
        ("int", ["3", "-1", "0"], ["3.0", "x", "", "1e3"]),
        ("uri", ["s3://b/k", "https://h", "runs:/1/a", "file:/x"], ["no/scheme", "", "//[x"]),
        ("path", ["a", "/", "s3://b/k"], [""]),
        ("string", ["", "anything"], []),
        ("dataframe", ["", "anything"], []),
    ],
)
def test_types_are_checked(kind: str, good: list[str], bad: list[str]) -> None:
    parameter = Parameter("p", kind, None, 5)
    point = EntryPoint("main", "x", {"p": parameter}, Path("/p/MLproject"), 3)
    for text in good:
        assert check_value(point, parameter, text) == text
    for text in bad:
        with pytest.raises(InvalidProject, match="/p/MLproject:5: Parameter 'p' of entry point 'main'") as caught:
            check_value(point, parameter, text)
        assert (caught.value.entry_point, caught.value.parameter, caught.value.value) == ("main", "p", text)
        assert caught.value.remedy


def test_defaults_are_checked_when_they_are_used() -> None:
    point = entry_point(a=("int", "three"))
    with pytest.raises(InvalidProject, match="'three' is not a whole number"):
        bind(point)
    assert bind(point, {"a": 3})["a"].text == "3"


def test_missing_parameters() -> None:
    with pytest.raises(InvalidProject, match=r"needs a value for parameters 'alpha', 'b'\.") as caught:
        bind(entry_point(alpha="float", b="int", c=("int", "1")), {"alhpa": 1})
    assert caught.value.parameters == ("alpha", "b")
    assert caught.value.remedy == "'alhpa' was given: did you mean 'alpha'?"
    with pytest.raises(InvalidProject, match="-P b=VALUE"):
        bind(entry_point(b="int"))


@pytest.mark.parametrize("name", ["a\0", "a"])
def test_what_no_command_line_can_carry(name: str) -> None:
    with pytest.raises(InvalidProject, match="NUL"):
        bind(entry_point(), {name: "\0"})


def test_nameless_parameter() -> None:
    with pytest.raises(InvalidProject, match="has no name"):
        bind(entry_point(), {"": "x"})


class TestPaths:
    def test_relative_to_the_caller(self, tmp_path: Path) -> None:
        (tmp_path / "d").mkdir()
        (tmp_path / "d" / "f.csv").touch()
        bound = bind(entry_point(data="path"), {"data": "d/../d/f.csv"}, here=tmp_path, project=Path("/nowhere"))[
            "data"
        ]
        assert bound.text == str(tmp_path / "d" / "f.csv")
        assert bound.path == tmp_path / "d" / "f.csv"
        assert bound.recorded == "d/../d/f.csv"

    def test_given_path_is_not_sought_in_the_project(self, tmp_path: Path) -> None:
        (tmp_path / "f").touch()
        with pytest.raises(InvalidProject, match="no file or folder 'f' in /nowhere"):
            bind(entry_point(data="path"), {"data": "f"}, here=Path("/nowhere"), project=tmp_path)

    def test_declared_default_falls_back_to_the_project(self, tmp_path: Path) -> None:
        here, project = tmp_path / "here", tmp_path / "project"
        for folder in (here, project):
            folder.mkdir()
        (project / "f").touch()
        point = entry_point(data=("path", "f"))
        assert bind(point, here=here, project=project)["data"].text == str(project / "f")
        (here / "f").touch()
        assert bind(point, here=here, project=project)["data"].text == str(here / "f")

    @pytest.mark.parametrize("form", ["{}", "file://{}", "file:{}"])
    def test_absolute_forms(self, tmp_path: Path, form: str) -> None:
        file = tmp_path / "a b"
        file.touch()
        given_value = form.format(str(file).replace(" ", "%20") if ":" in form else file)
        assert bind(entry_point(data="path"), {"data": given_value})["data"].text == str(file)

    def test_a_colon_makes_no_uri(self, tmp_path: Path) -> None:
        (tmp_path / "data:v1.csv").touch()
        assert bind(entry_point(data="path"), {"data": "data:v1.csv"}, here=tmp_path)["data"].path is not None

    @pytest.mark.parametrize("uri", ["s3://bucket/key", "runs:/1/model", "models:/m-1", "https://host/file.csv"])
    def test_uris_are_downloaded(self, tmp_path: Path, uri: str) -> None:
        asked: list[tuple[str, Path]] = []

        def download(asked_uri: str, directory: Path) -> Path:
            assert directory.is_dir()
            asked.append((asked_uri, directory))
            return directory / "got it"

        point = entry_point("train {data} {other}", data="path", other="path")
        (tmp_path / "x").touch()
        bound = list(bind(point, {"data": uri, "other": str(tmp_path / "x")}).values())
        assert [parameter.remote for parameter in bound] == [True, False]
        fetched = download_paths(bound, tmp_path, download)
        assert asked == [(uri, tmp_path / "param_0")]
        assert [parameter.recorded for parameter in fetched] == [uri, str(tmp_path / "x")]
        assert render_command(point, fetched).text == f"train '{tmp_path}/param_0/got it' {tmp_path}/x"

    def test_errors_of_a_download_go_through(self, tmp_path: Path) -> None:
        def download(uri: str, directory: Path) -> Path:
            raise ArtifactStoreUnavailable(f"{uri} did not answer.")

        with pytest.raises(ArtifactStoreUnavailable):
            download_paths(list(bind(entry_point(data="path"), {"data": "s3://b/k"}).values()), tmp_path, download)


class TestCommand:
    def test_literal_braces(self) -> None:
        assert command(entry_point("awk '{{print $1}}' {f}", f="string"), {"f": "a b"}) == "awk '{print $1}' 'a b'"

    @pytest.mark.parametrize(
        ("template", "says", "remedy"),
        [
            ("x {", "braces don't match", "Write a literal brace twice"),
            ("x }", "braces don't match", "Write a literal brace twice"),
            ("x {}", "{} is not a declared parameter", "write literal braces twice"),
            ("x {0}", "{0} is not a declared parameter", "write literal braces twice"),
            ("x {alhpa}", "{alhpa} is not a declared parameter", "Did you mean {alpha}?"),
            ("x {alpha.__class__}", "is not a declared parameter", "write literal braces twice"),
            ("x {alpha!r}", "{alpha} has a format", "Write {alpha}"),
            ("x {alpha:>10}", "{alpha} has a format", "Write {alpha}"),
            ("x `{alpha}`", "back quotes, where a value can't be written safely", "Pass the value as an argument"),
        ],
    )
    def test_stray_braces(self, template: str, says: str, remedy: str) -> None:
        with pytest.raises(InvalidProject) as caught:
            command(entry_point(template, alpha="string"), {"alpha": "1"})
        assert says in caught.value.message
        assert remedy in caught.value.remedy
        assert (caught.value.file, caught.value.line) == ("/p/MLproject", 3)

    @settings(max_examples=60, deadline=None)
    @given(
        st.dictionaries(
            st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0"), min_size=1, max_size=8),
            st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0"), max_size=20),
            max_size=4,
        ),
        st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0"), max_size=20),
    )
    def test_every_value_is_one_argument(self, extra: dict[str, str], value: str) -> None:
        point = entry_point("printf '%s\\0' {declared}", declared="string")
        rendered = render_command(
            point, list(bind(point, {"declared": value, **{f"x{k}": v for k, v in extra.items()}}).values())
        )
        environment = {"PATH": os.environ["PATH"], **rendered.secrets}
        ran = subprocess.run(["bash", "-c", rendered.text], capture_output=True, check=True, env=environment)
        expected = [value, *(part for key, text in extra.items() for part in (f"--x{key}", text))]
        assert [part.decode() for part in ran.stdout.split(b"\0")[:-1]] == expected


class TestSecrets:
    def test_the_command_never_holds_them(self) -> None:
        point = entry_point("train --key {api_key} --db '{db}' {plain}", api_key="string", db="uri", plain="string")
        given_values = {
            "api_key": "canary-1",
            "db": "postgresql://me:canary-2@host/db",
            "plain": SecretStr("canary-3"),
            "hf_token": "canary-4",
        }
        bound = list(bind(point, given_values).values())
        rendered = render_command(point, bound)
        assert "canary" not in rendered.text
        assert "canary" not in repr(bound) + repr(rendered)
        assert [parameter.recorded for parameter in bound] == ["***", "postgresql://me:***@host/db", "***", "***"]
        ran = subprocess.run(
            ["bash", "-c", f"train() {{ printf '%s|' \"$@\"; }}; {rendered.text}"],
            capture_output=True,
            text=True,
            check=True,
            env=dict(rendered.secrets),
        )
        assert ran.stdout == ("--key|canary-1|--db|postgresql://me:canary-2@host/db|canary-3|--hf_token|canary-4|")

    def test_names_that_would_meet_in_one_variable(self) -> None:
        point = entry_point("x")
        bound = list(bind(point, {"a-password": "one", "a_password": "two", "a.password": "one"}).values())
        rendered = render_command(point, bound)
        assert sorted(rendered.secrets.values()) == ["one", "two"]
        assert len(shlex.split(rendered.text)) == 7

    def test_errors_do_not_show_them(self) -> None:
        with pytest.raises(InvalidProject) as caught:
            bind(entry_point(api_key="int"), {"api_key": "canary"})
        assert "canary" not in str(caught.value) + repr(caught.value.attributes)
