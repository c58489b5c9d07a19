"""One request of a webhook: sent, and what came of it."""

from __future__ import annotations

import os
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING
from urllib.parse import SplitResult, urlsplit

from headgate.store.webhooks import ENV_PREFIX, Webhook
from headgate.tasks.webhooks.signing import webhook_headers

if TYPE_CHECKING:
    import requests

TIMEOUT_SECONDS = 10.0
_MOST_READ = 2048
_GONE = 410


@dataclass(frozen=True, slots=True)
class Answer:
    """What came of a try.

    Args:
        status: of HTTP; None when there was no answer.
        error: why the event is not told; empty when it is.
        retry_after: seconds that the receiver asks to be left alone; None when it asks for nothing.
        final: no other try will tell the event: the receiver is gone for good.
    """

    status: int | None = None
    error: str = ""
    retry_after: float | None = None
    final: bool = False

    @property
    def told(self) -> bool:
        return not self.error


def send(
    webhook: Webhook,
    event_id: str,
    body: bytes,
    *,
    private_hosts: Collection[str] = (),
    now: int,
    timeout: float = TIMEOUT_SECONDS,
    environment: Mapping[str, str] | None = None,
) -> Answer:
    """Send one request. No redirect is followed: a secret's signature is for the host that was named.

    Args:
        webhook: where to.
        event_id: the idempotency key.
        body: of the request.
        private_hosts: hosts that may be in a private network; ``*`` for all.
        now: of this try, UTC epoch ms.
        timeout: seconds to wait for a connection, and for the answer.
        environment: holds the URL and the secret, where the webhook names variables; None takes the process's.
    """
    import requests
    from urllib3.exceptions import HTTPError

    from headgate.tasks.webhooks.addresses import allows_private, checked_session

    variables = os.environ if environment is None else environment
    url = webhook.url
    if url.startswith(ENV_PREFIX):
        url = variables.get(url.removeprefix(ENV_PREFIX), "")
    secret = variables.get(webhook.secret_env, "") if webhook.secret_env else None
    if not url or secret == "":
        missing = webhook.url.removeprefix(ENV_PREFIX) if not url else webhook.secret_env
        return Answer(error=f"The variable {missing} is not set where the webhook is sent from.")
    parts = _parts(url)
    if parts is None or parts.scheme not in ("http", "https") or not parts.hostname:
        return Answer(error="The URL is none that a request can be sent to.")
    if parts.scheme != "https" and not allows_private(parts.hostname, private_hosts):
        return Answer(error="The URL is not https, and the host is none that HEADGATE_WEBHOOK_PRIVATE_HOSTS names.")
    headers = webhook_headers(event_id, body, secret, now=now)
    try:
        with (
            checked_session(private_hosts) as session,
            session.post(
                url, data=body, headers=dict(headers), timeout=timeout, allow_redirects=False, stream=True
            ) as response,
        ):
            return _answer(response)
    except (requests.RequestException, HTTPError, ValueError) as error:
        return Answer(error=_without_path(str(error), parts.path, parts.query))


def _parts(url: str) -> SplitResult | None:
    """Return the parts of a URL; None when it has none, as one with a bracket that is not closed."""
    try:
        return urlsplit(url)
    except ValueError:
        return None


def _answer(response: requests.Response) -> Answer:
    status = response.status_code
    if 200 <= status < 300:
        return Answer(status)
    if 300 <= status < 400:
        return Answer(status, f"HTTP {status}: it redirects, and no redirect is followed.")
    line = " ".join(_said(response).split())[:200]
    return Answer(
        status,
        f"HTTP {status}" + (f": {line}" if line else ""),
        retry_after=_seconds(response.headers.get("Retry-After")),
        final=status == _GONE,
    )


def _said(response: requests.Response) -> str:
    """Return the beginning of an answer's text; nothing of one that stalls, or is not encoded as its header says."""
    from urllib3.exceptions import HTTPError

    try:
        return str(response.raw.read(_MOST_READ, decode_content=True).decode("utf-8", "replace"))
    except (HTTPError, OSError):
        return ""


def _seconds(said: str | None) -> float | None:
    return float(said) if said is not None and said.strip().isdecimal() else None


def _without_path(text: str, path: str, query: str) -> str:
    """Return an error's text without what may be a secret of the URL."""
    for secret in (f"{path}?{query}" if query else path, path, query):
        if len(secret) > 1:
            text = text.replace(secret, "/…")
    return text[:500]
