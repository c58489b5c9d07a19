"""Values arrive as they are, whatever they hold and wherever in the command they stand: asked of a real bash."""

from __future__ import annotations

import os
import string
import subprocess
from collections.abc import Callable

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from headgate.tasks.projects.quoting import Piece, Place, place_fields, writable, write_value, write_variable

# Text that an argument can hold (no NUL, no lone surrogate), rich in what shells react to.
values = st.text(
    st.one_of(
        st.sampled_from("\\\"'`$(){}[]<>|&;#!*?~=%^ \t\n-"),
        st.characters(exclude_categories=["Cs"], exclude_characters="\0"),
    ),
    max_size=30,
)


def trimmed(text: str) -> str:
    """``$(…)`` drops newlines at the end: that is bash's rule for its output, not a matter of quoting."""
    return text.rstrip("\n")


# Template → the arguments that must arrive.
TEMPLATES: dict[str, Callable[[str, str], list[str]]] = {
    "args {a} {b}": lambda a, b: [a, b],
    'args "{a}" "x{b}y"': lambda a, b: [a, f"x{b}y"],
    "args '{a}' 'x{b}y'": lambda a, b: [a, f"x{b}y"],
    "args --a={a} --b='{b}'": lambda a, b: [f"--a={a}", f"--b={b}"],
    "args \"'{a}'\" '\"{b}\"'": lambda a, b: [f"'{a}'", f'"{b}"'],
    'args "$(printf %s {a})" "$(printf %s "{b}")"': lambda a, b: [trimmed(a), trimmed(b)],
    'args "$(printf %s \'{a}\')"; args "`true`" {b}': lambda a, b: [trimmed(a), "", b],
    "args \\'{a}\\' # don't\nargs \"{b}\"": lambda a, b: [f"'{a}'", b],
    ": <<< x; args {a} $'it\\'s' {b}": lambda a, b: [a, "it's", b],
    "args ${{#HOME}} {a} \\ #' {b}'": lambda a, b: ["2", a, f" # {b}"],
    "(args {a}); {{ args {b}; }}; : $((1 << 2)) $(( (1) )); args {a}": lambda a, b: [a, b, a],
}


def pieces(template: str) -> list[Piece]:
    found: list[Piece] = []
    literal = ""
    for text, name, _, _ in string.Formatter().parse(template):
        literal += text
        if name is not None:
            found += [Piece(literal), Piece(field=name)]
            literal = ""
    return [*found, Piece(literal)]


def bash(command: str, **variables: str) -> list[str]:
    """Run a command in which ``args`` writes its arguments down; return them all."""
    script = "args() { for arg; do printf '%s\\0' \"$arg\"; done; }\n" + command
    environment = {"PATH": os.environ["PATH"], "HOME": "/h", **variables}
    ran = subprocess.run(["bash", "-c", script], capture_output=True, check=True, env=environment)
    assert ran.stderr == b""
    return [os.fsdecode(argument) for argument in ran.stdout.split(b"\0")[:-1]]


@pytest.mark.parametrize("template", TEMPLATES)
@settings(max_examples=40, deadline=None)
@given(a=values, b=values)
def test_values_arrive_literally(template: str, a: str, b: str) -> None:
    given_values = {"a": a, "b": b}
    command = "".join(
        piece.text if piece.field is None else write_value(given_values[piece.field], place)
        for piece, place in place_fields(pieces(template))
    )
    assert bash(command) == TEMPLATES[template](a, b)


@pytest.mark.parametrize("template", TEMPLATES)
@settings(max_examples=10, deadline=None)
@given(a=values, b=values)
def test_variables_arrive_literally(template: str, a: str, b: str) -> None:
    command = "".join(
        piece.text if piece.field is None else write_variable(f"V_{piece.field}", place)
        for piece, place in place_fields(pieces(template))
    )
    assert bash(command, V_a=a, V_b=b) == TEMPLATES[template](a, b)


@pytest.mark.parametrize(
    ("template", "place"),
    [
        ("args `echo {a}`", Place.BACK_QUOTES),
        ('args "`echo {a}`"', Place.BACK_QUOTES),
        ("args $'{a}'", Place.ANSI_QUOTES),
        ("args ${{HOME:-{a}}}", Place.PARAMETER),
        ('args "${{HOME:-{a}}}"', Place.PARAMETER),
        ("args $(({a}))", Place.ARITHMETIC),
        ("(( {a} ))", Place.ARITHMETIC),
        ("args ${a}", Place.AFTER_DOLLAR),
        ('args "${a}"', Place.AFTER_DOLLAR),
        ("args \\{a}", Place.AFTER_BACKSLASH),
        ('args "\\{a}"', Place.AFTER_BACKSLASH),
        ("cat <<EOF\n{a}\nEOF", Place.HERE_DOCUMENT),
        ("args # {a}", Place.COMMENT),
    ],
)
def test_no_value_is_written_where_it_could_be_executed(template: str, place: Place) -> None:
    (found,) = [place for piece, place in place_fields(pieces(template)) if piece.field is not None]
    assert found is place
    assert not writable(found)
    with pytest.raises(ValueError, match="inside"):
        write_value("x", found)
    with pytest.raises(ValueError, match="inside"):
        write_variable("X", found)


@pytest.mark.parametrize("template", ["args '${a}' '\\{b}'"])
def test_single_quotes_have_no_escapes(template: str) -> None:
    assert {place for piece, place in place_fields(pieces(template)) if piece.field} == {Place.SINGLE_QUOTES}
