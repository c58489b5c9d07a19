"""Digests, against the tools that everybody has."""

from __future__ import annotations

import hashlib
import subprocess
from pathlib import Path

from hypothesis import given
from hypothesis import strategies as st

from headgate.store.artifacts import file_sha256, folder_digest, tree_digest

_FILES = st.dictionaries(st.text(min_size=1), st.binary(min_size=0, max_size=4), max_size=5)


def test_the_digest_of_a_folder_is_what_the_shell_computes(tree: Path) -> None:
    command = r"find * -type f | LC_ALL=C sort | xargs -d '\n' sha256sum | sha256sum"
    printed = subprocess.run(["bash", "-c", command], cwd=tree, check=True, capture_output=True, text=True).stdout
    assert folder_digest(tree) == printed.split()[0]


def test_the_digest_sees_content_and_names(tree: Path) -> None:
    before = folder_digest(tree)
    assert folder_digest(tree) == before
    (tree / "a.txt").write_bytes(b"b")
    changed = folder_digest(tree)
    (tree / "a.txt").rename(tree / "b.txt")
    renamed = folder_digest(tree)
    assert len({before, changed, renamed}) == 3


def test_the_digest_does_not_see_what_python_compiled(tree: Path) -> None:
    before = folder_digest(tree)
    (tree / "a" / "__pycache__").mkdir()
    (tree / "a" / "__pycache__" / "model.cpython-311.pyc").write_bytes(b"bytecode")
    assert folder_digest(tree) == before


@given(_FILES, st.randoms())
def test_the_order_of_files_does_not_matter(files: dict[str, bytes], random: object) -> None:
    pairs = [(name, hashlib.sha256(content).hexdigest()) for name, content in files.items()]
    shuffled = list(pairs)
    random.shuffle(shuffled)  # type: ignore[attr-defined]
    assert tree_digest(pairs) == tree_digest(shuffled)


def test_a_files_digest(tmp_path: Path) -> None:
    (tmp_path / "file").write_bytes(b"abc")
    assert file_sha256(tmp_path / "file") == hashlib.sha256(b"abc").hexdigest()
