"""Webhooks as Standard Webhooks asks for them: signed, with an id that is the same each time one is repeated."""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

from django.conf import settings
from standardwebhooks.webhooks import Webhook

from governance import redaction

from . import outside

# A 4xx says that the request is wrong, and it will not get better; these three say "not now".
TEMPORARY = frozenset({408, 425, 429})
USUAL_SECONDS = 5.0
MAX_SHOWN = 500  # characters of an answer that are kept


class Refused(Exception):
    """The receiver does not want this webhook, now or later."""


def secret_of(tenant_id: str) -> str:
    """The tenant's signing secret (`whsec_…`), to be given to its receivers.

    Derived from the server's, so that no tenant can sign as another.
    """
    key = hmac.new(
        settings.WEBHOOK_SECRET.encode(), f"webhook:{tenant_id}".encode(), hashlib.sha256
    )
    return f"whsec_{base64.b64encode(key.digest()).decode()}"


def send(
    url: str,
    *,
    key: str,
    type: str,
    about: Mapping[str, Any],
    happened_at: datetime,
    tenant_id: str,
    seconds: float = USUAL_SECONDS,
) -> dict[str, Any]:
    """Send one webhook: `{status, answer}` when it was taken.

    `key` is its webhook-id, and the body of a key never changes, so that a receiver can tell a repetition. What looks
    like a secret in it is masked: the receiver is not who the agent told it to.
    Raises Refused, AddressRefused, or outside.Unreachable where trying again may help.
    """
    body = json.dumps(
        {"type": type, "timestamp": happened_at.isoformat(), "data": redaction.texts(about)},
        ensure_ascii=False,
    )
    answer = outside.post(
        url,
        body.encode(),
        _headers(key, body, tenant_id),
        seconds=seconds,
        private_allowed=settings.WEBHOOK_PRIVATE_ADDRESSES,
    )
    if answer.is_ok:
        return {"status": answer.status, "answer": _shown(answer.body)}
    if answer.status >= 500 or answer.status in TEMPORARY:
        raise outside.Unreachable(f"the receiver answered {answer.status}")
    raise Refused(f"the receiver answered {answer.status}")


def _headers(key: str, body: str, tenant_id: str) -> dict[str, str]:
    sent_at = datetime.now(UTC)
    return {
        "content-type": "application/json",
        "user-agent": "Antibody",
        "webhook-id": key,
        "webhook-timestamp": str(int(sent_at.timestamp())),
        "webhook-signature": Webhook(secret_of(tenant_id)).sign(key, sent_at, body),
    }


def _shown(body: bytes) -> str:
    # PostgreSQL cannot hold a NUL.
    return redaction.text(body[: MAX_SHOWN * 4].decode("utf-8", "replace").replace("\x00", ""))[
        :MAX_SHOWN
    ]
