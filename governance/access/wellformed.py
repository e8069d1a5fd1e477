"""Requests that no page and no view should have to think about: NUL where text is, fields without end.

PostgreSQL holds no NUL, so that it would end as an error of ours somewhere. The body of an API request has its own
parser; this is for everything around it.
"""

from __future__ import annotations

from collections.abc import Callable
from urllib.parse import unquote_plus

from django.http import HttpRequest, HttpResponseBase

from . import problems

LONGEST_FIELD = 20_000
"""Characters in one field of a form or query: as long as the longest text that is taken anywhere."""

TO_FIELD = "_to_field"  # of Django's admin

GetResponse = Callable[[HttpRequest], HttpResponseBase]


def well_formed_middleware(get_response: GetResponse) -> GetResponse:
    """Answer 400 or 404 at once to what could not be looked up or stored; the answer names the place."""

    def middleware(request: HttpRequest) -> HttpResponseBase:
        refused = _address(request) or _query(request) or _cookies(request) or _form(request)
        refused = refused or _to_field(request)
        return refused or get_response(request)

    return middleware


def _address(request: HttpRequest) -> HttpResponseBase | None:
    return problems.not_found(request) if "\x00" in request.path else None


def _query(request: HttpRequest) -> HttpResponseBase | None:
    if "%00" in (query := request.META.get("QUERY_STRING", "")):
        name = next(part for part in query.split("&") if "%00" in part).partition("=")[0]
        return _holds_nul(request, unquote_plus(name))
    return None


def _cookies(request: HttpRequest) -> HttpResponseBase | None:
    # A quoted cookie may write it as \000.
    if "\\0" in request.META.get("HTTP_COOKIE", ""):
        for name, value in request.COOKIES.items():
            if "\x00" in value:
                return _holds_nul(request, name)
    return None


def _form(request: HttpRequest) -> HttpResponseBase | None:
    if request.method != "POST" or problems.is_api(request):
        return None
    for name, values in request.POST.lists():
        if "\x00" in name or any("\x00" in str(value) for value in values):
            return _holds_nul(request, name)
        if any(len(str(value)) > LONGEST_FIELD for value in values):
            return problems.refuse(
                request,
                400,
                "invalid",
                f"{name[:100]}: at most {LONGEST_FIELD} characters.",
                field=name[:100],
                limit=LONGEST_FIELD,
            )
    return None


def _to_field(request: HttpRequest) -> HttpResponseBase | None:
    # Django's admin lets an empty one pass, and then looks for the field of no name.
    if request.path.startswith("/admin/") and "" in (
        request.GET.get(TO_FIELD),
        request.POST.get(TO_FIELD),
    ):
        says = f"{TO_FIELD}: it names no field."
        return problems.refuse(request, 400, "invalid", says, field=TO_FIELD)
    return None


def _holds_nul(request: HttpRequest, name: str) -> HttpResponseBase:
    shown = name.replace("\x00", "\N{REPLACEMENT CHARACTER}")[:100]
    return problems.refuse(
        request,
        400,
        "invalid",
        f"{shown}: NUL cannot be stored.",
        errors=[{"field": shown, "message": "NUL cannot be stored."}],
    )
