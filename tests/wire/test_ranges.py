"""Parts of files: a download that broke off goes on where it stopped, as with MLflow's server."""

from __future__ import annotations

import pytest
import requests

from headgate.wire.ranges import NotInFile, byte_range
from tests.wire.conftest import PATIENCE, ServedStore


@pytest.mark.parametrize(
    ("said", "part"),
    [
        (b"bytes=0-3", range(4)),
        (b"bytes=4-", range(4, 10)),
        (b"bytes=-3", range(7, 10)),
        (b"bytes=-30", range(10)),
        (b"bytes=8-800", range(8, 10)),
        (b" bytes=9-9 ", range(9, 10)),
        (b"", None),
        (b"bytes=-", None),
        (b"bytes=5-2", None),
        (b"bytes=0-1,4-5", None),
        (b"bytes=a-b", None),
        (b"lines=0-1", None),
        (b"bytes=0-" + b"9" * 30, None),
    ],
)
def test_one_range_of_bytes_is_read_and_all_else_is_the_whole_file(said: bytes, part: range | None) -> None:
    assert byte_range({b"range": said}, 10) == part
    assert byte_range({b"range": said, b"if-range": b'"v1"'}, 10) is None


@pytest.mark.parametrize(
    ("said", "size"), [(b"bytes=10-", 10), (b"bytes=10-20", 10), (b"bytes=-0", 10), (b"bytes=0-", 0)]
)
def test_nothing_is_behind_the_end(said: bytes, size: int) -> None:
    with pytest.raises(NotInFile):
        byte_range({b"range": said}, size)


def test_a_download_goes_on_where_it_stopped(sqlite_served: ServedStore) -> None:
    data = bytes(range(256)) * 8192  # more than one piece
    url = f"{sqlite_served.url}/api/2.0/mlflow-artifacts/artifacts/0/weights.bin"
    requests.put(url, data=data, timeout=PATIENCE).raise_for_status()

    def got(said: str) -> requests.Response:
        return requests.get(url, headers={"Range": said}, timeout=PATIENCE)

    whole, rest, end, behind = got("nothing"), got("bytes=5-"), got("bytes=-7"), got(f"bytes={len(data)}-")

    assert (whole.status_code, whole.content, whole.headers["accept-ranges"]) == (200, data, "bytes")
    assert (rest.status_code, rest.content) == (206, data[5:])
    assert rest.headers["content-range"] == f"bytes 5-{len(data) - 1}/{len(data)}"
    assert (end.status_code, end.content) == (206, data[-7:])
    assert (behind.status_code, behind.headers["content-range"]) == (416, f"bytes */{len(data)}")
