"""Where a request carries its token, so that whoever counts it and whoever believes it look at the same place.

The general rule is ``Authorization: Bearer``. Two protocols have a place of their own, which their clients cannot be told
to change: the key of a Sentry DSN comes in a header or a query of Sentry's, PagerDuty's routing key in the body.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any
from urllib.parse import parse_qs

from django.http import HttpRequest

_SENTRY_KEY = re.compile(r"(?:^|[\s,])sentry_key=([^\s,]{1,200})(?=[\s,]|$)", re.ASCII)


def in_head(headers: Mapping[str, Any]) -> str:
    """The token in a request's head as it is counted, empty where there is none; nobody believes it yet."""
    scheme, _, rest = headers.get("HTTP_AUTHORIZATION", "").partition(" ")
    return rest.strip() if scheme.lower() == "bearer" else sentry_key(headers)


def sentry_key(headers: Mapping[str, Any]) -> str:
    """The key of a Sentry DSN: ``X-Sentry-Auth: Sentry sentry_key=…, …`` or ``?sentry_key=…``; else empty."""
    scheme, _, rest = headers.get("HTTP_X_SENTRY_AUTH", "").strip().partition(" ")
    if scheme.lower() == "sentry" and (found := _SENTRY_KEY.search(rest)):
        return found[1]
    query = headers.get("QUERY_STRING", "")
    return parse_qs(query).get("sentry_key", [""])[0] if "sentry_key=" in query else ""


def note_body(request: HttpRequest, secret: str) -> None:
    """Remember for who counts that the token stood in the body, which nobody had read before."""
    request.token_in_body = secret  # type: ignore[attr-defined]


def in_body(request: HttpRequest) -> str:
    """The token that was found in the body; empty where none was, or nobody looked."""
    return str(getattr(request, "token_in_body", ""))
