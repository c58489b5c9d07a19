"""Prefect's server does not always answer: what its client raises then, as an error of Headgate's that says so."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from headgate.store.errors import StoreUnavailable


@contextmanager
def server_answers(about: str) -> Iterator[None]:
    """Turn what the client raises in a block into a StoreUnavailable, on which a retry may help.

    Args:
        about: what was asked for or given, such as ``the artifact 'headgate-model-churn'``.
    """
    import httpx
    from prefect.exceptions import PrefectHTTPStatusError

    try:
        yield
    # The client says "Failed to reach API" by a RuntimeError.
    except (httpx.HTTPError, PrefectHTTPStatusError, OSError, RuntimeError) as error:
        raise StoreUnavailable(
            f"Prefect's server did not answer about {about}: {error}",
            remedy="Try again when it does; what is in the store stays there.",
        ) from error
