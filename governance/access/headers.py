"""The security headers of every answer: pages, API, streams, errors, static files."""

from __future__ import annotations

import secrets
from collections.abc import Callable

from django.http import HttpRequest, HttpResponseBase

from .problems import is_api
from .wire import HEADERS

GetResponse = Callable[[HttpRequest], HttpResponseBase]

CONSOLE_POLICY = (
    "default-src 'none'; script-src 'self' 'nonce-{nonce}'; style-src 'self' 'nonce-{nonce}'; img-src 'self' data:; "
    "font-src 'self'; connect-src 'self'; form-action 'self'; base-uri 'none'; frame-ancestors 'none'"
)
# Unfold's Alpine needs unsafe-eval, its charts and colours unsafe-inline; so only where Unfold is.
ADMIN_POLICY = (
    "default-src 'self'; script-src 'self' 'unsafe-eval' 'unsafe-inline'; style-src 'self' 'unsafe-inline'; "
    "img-src 'self' data:; font-src 'self' data:; connect-src 'self'; form-action 'self'; base-uri 'none'; "
    "frame-ancestors 'none'"
)
# What the API answers is read by programs, and is no page.
API_POLICY = HEADERS["Content-Security-Policy"]
# Swagger UI styles itself; its script is inline in the page that drf-spectacular renders.
DOCS_POLICY = ADMIN_POLICY


def headers_middleware(get_response: GetResponse) -> GetResponse:
    """Every header, with a strict content security policy; a looser one only where a library needs it."""

    def middleware(request: HttpRequest) -> HttpResponseBase:
        if not is_api(request):
            request.csp_nonce = secrets.token_urlsafe(16)  # type: ignore[attr-defined]
        response = get_response(request)
        # No library has a say: the docs' would let a page that opened them keep a hold of them.
        for name, value in {**HEADERS, "Content-Security-Policy": _policy(request)}.items():
            response[name] = value
        return response

    return middleware


def _policy(request: HttpRequest) -> str:
    if request.path.startswith("/admin/"):
        return ADMIN_POLICY
    if request.path.startswith("/api/docs"):
        return DOCS_POLICY
    if is_api(request):
        return API_POLICY
    return CONSOLE_POLICY.format(nonce=request.csp_nonce)  # type: ignore[attr-defined]
