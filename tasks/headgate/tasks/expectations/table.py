"""The data that are validated: a file or a DataFrame, as a table, and as a dataset with its digest."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from headgate.store.entities import Dataset
from headgate.store.errors import InvalidInput, InvalidSettings
from headgate.tasks.datasets import described, fetched, table_kind
from headgate.tasks.expectations.sql import SqlTable, describe_table
from headgate.tasks.model_format.schema import is_a
from headgate.tasks.projects.secrets import mask_text
from headgate.tasks.tracking.data import dataset, profile_text, schema_text

if TYPE_CHECKING:
    from headgate.store.store import Store

GX_MISSING = "pip install 'headgate[gx]'"


def read_data(store: Store, data: Any, name: str | None, folder: Path) -> tuple[Any, Dataset, int]:
    """Return data as what is judged, as a dataset, and how many rows there are.

    Data are what :func:`read_table` takes, or a :class:`~headgate.tasks.expectations.sql.SqlTable`, which is judged in
    its database. The errors are theirs.
    """
    if not isinstance(data, SqlTable):
        table, found = read_table(store, data, name, folder)
        return table, found, len(table)
    found, rows = describe_table(data, name)
    if rows == 0:
        raise _no_rows(found.name)
    return data, found, rows


def read_table(store: Store, data: Any, name: str | None, folder: Path) -> tuple[Any, Dataset]:
    """Return data as a DataFrame, and as a dataset.

    Args:
        store: knows where artifacts of runs are.
        data: a DataFrame; or a CSV (also compressed) or Parquet file: a path, or a URI with ``s3``, ``http(s)``,
            ``runs`` or ``models``.
        name: of the dataset; None takes the file's name without its ending.
        folder: where a download may go.

    Raises:
        InvalidInput: there is no such file, it is of another kind, it can't be read, it has no rows, or two columns
            have one name.
        InvalidSettings: pandas, or what it reads the file with, is not installed.
        HeadgateError: what :func:`headgate.tasks.datasets.fetched` raises.
    """
    if is_a(data, "pandas", "DataFrame"):
        if not name:
            raise InvalidInput("The DataFrame has no name.", remedy="Give the dataset a name.")
        table, found = data, dataset(name, data)
    elif isinstance(data, str | Path):
        table, found = _read_file(store, str(data), name, folder)
    else:
        raise InvalidInput(
            f"A {type(data).__name__} can't be validated.", remedy="Give a DataFrame, or a CSV or Parquet file."
        )
    if len(table) == 0:
        raise _no_rows(found.name)
    if not table.columns.is_unique:
        twice = sorted({str(label) for label in table.columns[table.columns.duplicated()]})
        raise InvalidInput(
            f"The data {found.name!r} have several columns of one name: {', '.join(twice)}.",
            remedy="Rename them: it would be unclear which of them is judged.",
        )
    return table, found


def _no_rows(name: str) -> InvalidInput:
    return InvalidInput(
        f"The data {name!r} have no rows: they would meet nearly every expectation.",
        remedy="Check where they come from.",
    )


def _read_file(store: Store, place: str, name: str | None, folder: Path) -> tuple[Any, Dataset]:
    path = fetched(store, place, folder)
    read = _reader(path, place)
    if not path.is_file():
        raise InvalidInput(f"{mask_text(place)!r} is a folder.", remedy="Give one file of it.")
    found = described(path, place, name)
    try:
        table = read(path)
        return table, replace(found, schema=schema_text(table), profile=profile_text(table))
    except ImportError as error:
        raise InvalidSettings(
            f"{path.name!r} can't be read: {error}", remedy="Install what pandas reads it with, such as pyarrow."
        ) from error
    except (ValueError, OSError) as error:  # parsers' errors are ValueErrors, pyarrow's too
        raise InvalidInput(
            f"{mask_text(place)!r} can't be read as a table: {error}.", remedy="Check what the file holds."
        ) from error


def _reader(path: Path, place: str) -> Any:
    try:
        import pandas
    except ImportError as error:
        raise InvalidSettings("Validating data needs pandas, which is not installed.", remedy=GX_MISSING) from error

    kind = table_kind(path)
    if kind is not None:
        return pandas.read_csv if kind == "csv" else pandas.read_parquet
    raise InvalidInput(
        f"{mask_text(place)!r} is neither a CSV nor a Parquet file, by its name.",
        remedy="Give a .csv, .csv.gz or .parquet file, or read it yourself and give the DataFrame.",
    )
