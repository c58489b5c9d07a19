"""Signatures of webhooks as MLflow 3 makes them, after the Standard Webhooks convention.

``X-MLflow-Signature`` is ``v1,`` and the base64 of HMAC-SHA256 over ``<delivery id>.<timestamp>.<body>``, keyed with
the secret. The timestamp (seconds) is that of the try: a receiver refuses an old one, and so a replayed request. The
delivery id is the event's: the same in every try, so a receiver knows what it was told before.
"""

from __future__ import annotations

import base64
import hashlib
import hmac
from collections.abc import Mapping

SIGNATURE_HEADER = "X-MLflow-Signature"
TIMESTAMP_HEADER = "X-MLflow-Timestamp"
DELIVERY_ID_HEADER = "X-MLflow-Delivery-Id"
IDEMPOTENCY_HEADER = "Idempotency-Key"


def signature(secret: str, delivery_id: str, timestamp: str, body: bytes) -> str:
    """Return the signature of a body."""
    signed = f"{delivery_id}.{timestamp}.".encode() + body
    return "v1," + base64.b64encode(hmac.new(secret.encode(), signed, hashlib.sha256).digest()).decode()


def webhook_headers(event_id: str, body: bytes, secret: str | None, *, now: int) -> Mapping[str, str]:
    """Return the headers of a request.

    Args:
        event_id: the idempotency key.
        body: the very bytes that are sent.
        secret: None for a request without a signature.
        now: of this try, UTC epoch ms.
    """
    timestamp = str(now // 1000)
    headers = {
        "Content-Type": "application/json",
        "User-Agent": "headgate",
        DELIVERY_ID_HEADER: event_id,
        TIMESTAMP_HEADER: timestamp,
        IDEMPOTENCY_HEADER: event_id,
    }
    return headers if secret is None else {**headers, SIGNATURE_HEADER: signature(secret, event_id, timestamp, body)}
