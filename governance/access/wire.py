"""What every answer has in common, also one that is given without Django: headers, and the shape of a problem.

Imported before Django is set up: nothing here may need it.
"""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Sequence
from typing import Any

from governance import redaction

Network = ipaddress.IPv4Network | ipaddress.IPv6Network

MOST_BYTES = 1_048_576  # of a body
# Two protocols put much into one request that is no failure: Sentry's envelopes carry attachments, and a batch of
# spans the prompts of them all; a client throws the whole of it away where it is refused.
MOST_BYTES_OF_A_BATCH = 10_485_760
_BATCHES = re.compile(r"/api/(?:[0-9]+/(?:envelope|store)|v1/intake/otlp/v1/traces)/?")
# Middleware loosens the first where a page needs more.
HEADERS = {
    "Content-Security-Policy": "default-src 'none'; form-action 'none'; base-uri 'none'; frame-ancestors 'none'",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Permissions-Policy": "camera=(), geolocation=(), microphone=()",
    "Referrer-Policy": "same-origin",
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
}
CONTENT_TYPE = "application/problem+json"
TYPE = "https://antibody.invalid/problems/"
TITLES = {
    400: "The request cannot be taken as it is",
    401: "Not authenticated",
    403: "Not allowed",
    404: "Not found",
    405: "Method not allowed",
    406: "Not acceptable",
    409: "Conflict",
    413: "Too large",
    415: "Unsupported media type",
    422: "The same key with another body",
    429: "Too many requests",
    500: "Internal error",
    503: "Governance is unavailable",
}


def members_of(status: int, code: str, detail: str, **members: Any) -> dict[str, Any]:
    """The members of a problem (RFC 9457): type, title, status, detail, code and what else helps.

    What quotes somebody's mistake does not quote his secrets.
    """
    return {
        "type": TYPE + code,
        "title": TITLES.get(status, "Error"),
        "status": status,
        "detail": redaction.text(detail),
        "code": code,
        **redaction.masked(members),
    }


def most_bytes(path: str) -> int:
    """How many bytes a body that is sent to this address may have."""
    return MOST_BYTES_OF_A_BATCH if _BATCHES.fullmatch(path) else MOST_BYTES


def networks(names: Sequence[str]) -> tuple[Network, ...]:
    """The networks that these names are; raises ValueError for one that is none, or is all there is."""
    found = tuple(ipaddress.ip_network(name) for name in names)
    if any(network.prefixlen == 0 for network in found):
        raise ValueError("every address there is cannot be a proxy of ours")
    return found
