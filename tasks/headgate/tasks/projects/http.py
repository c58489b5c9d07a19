"""Files behind HTTP."""

from __future__ import annotations

from pathlib import Path

from headgate.store.errors import InvalidProject, ProjectUnavailable
from headgate.tasks.projects.secrets import mask_text

_CHUNK_BYTES = 1 << 20
_ANSWER_SECONDS = 60
# Answers in the 400s that a later request may not get.
_PASSING = (408, 425, 429)


def download_http(url: str, file: Path) -> None:
    """Download ``url`` into ``file``.

    Raises:
        InvalidProject: the server says that there is no such file, or that it is not for us.
        ProjectUnavailable: the server did not answer; a retry may help.
    """
    import requests

    shown = mask_text(url)
    try:
        with requests.get(url, stream=True, timeout=_ANSWER_SECONDS) as response:
            if 400 <= response.status_code < 500 and response.status_code not in _PASSING:
                raise InvalidProject(
                    f"{shown} can't be downloaded: the server answers {response.status_code} {response.reason}.",
                    remedy="Check the URL.",
                    uri=shown,
                )
            response.raise_for_status()
            with file.open("wb") as target:
                for chunk in response.iter_content(_CHUNK_BYTES):
                    target.write(chunk)
    except requests.RequestException as error:
        reason = mask_text(str(error))
        raise ProjectUnavailable(f"{shown} can't be downloaded: {reason}.", remedy="Try again.", uri=shown) from None
