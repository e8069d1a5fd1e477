"""Every error of the API as problem details (RFC 9457) that name the field and the limit."""

from __future__ import annotations

import logging
from typing import Any

from django.core.exceptions import PermissionDenied
from django.core.exceptions import ValidationError as DjangoValidationError
from django.db import DataError, InterfaceError, OperationalError
from django.http import Http404, HttpRequest, HttpResponse, JsonResponse
from django.template.loader import get_template
from rest_framework import exceptions
from rest_framework.response import Response
from rest_framework.views import set_rollback

from ..readiness import Standing
from ..refusals import Refusal

log = logging.getLogger("antibody.api")

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

UNAVAILABLE = ("governance_unavailable", "The database cannot be reached.")


def handle(error: Exception, context: dict[str, Any]) -> Response | None:
    """DRF's exception handler: whatever was raised, as a problem; nothing half-written stays."""
    set_rollback()
    match error:
        case Refusal():
            return problem(error.status, error.code, str(error), **error.extra)
        case Http404():
            return problem(404, "not_found", "There is no such thing here.")
        case PermissionDenied():
            return problem(403, "forbidden", "You may not do this.")
        case DjangoValidationError():
            return problem(
                400,
                "invalid",
                "Some fields cannot be taken.",
                errors=_fields(_django_detail(error)),
            )
        case exceptions.ValidationError():
            errors = _fields(error.detail)
            return problem(400, "invalid", _summary(errors), errors=errors)
        case exceptions.APIException():
            return _of_drf(error)
        case DataError():
            return problem(400, "invalid", "A value does not fit into the database.")
        case OperationalError() | InterfaceError():
            log.error("the database is away: %s", error)
            response = problem(503, *UNAVAILABLE, retryable=True)
            response["Retry-After"] = "1"
            return response
    log.error("unexpected error in %s", type(context.get("view")).__name__, exc_info=error)
    return problem(500, "internal_error", "Something went wrong on our side; it has been logged.")


def problem(status: int, code: str, detail: str, **members: Any) -> Response:
    """One problem: type, title, status, detail, code and what else helps."""
    body = {
        "type": TYPE + code,
        "title": TITLES.get(status, "Error"),
        "status": status,
        "detail": detail,
        "code": code,
        **members,
    }
    return Response(body, status=status, content_type=CONTENT_TYPE)


def _of_drf(error: exceptions.APIException) -> Response:
    code = error.get_codes()
    response = problem(
        error.status_code, code if isinstance(code, str) else "error", str(error.detail)
    )
    if getattr(error, "auth_header", None):
        response["WWW-Authenticate"] = error.auth_header  # type: ignore[attr-defined]
    if getattr(error, "wait", None):
        response["Retry-After"] = str(int(error.wait) + 1)  # type: ignore[attr-defined]
    return response


def _django_detail(error: DjangoValidationError) -> Any:
    return error.message_dict if hasattr(error, "error_dict") else {"": error.messages}


def _fields(detail: Any, path: str = "") -> list[dict[str, str]]:
    """[{field: "action.tool", message}] of DRF's nested detail."""
    if isinstance(detail, dict):
        found = []
        for name, inner in detail.items():
            here = path if name == "non_field_errors" else f"{path}.{name}" if path else str(name)
            found += _fields(inner, here)
        return found
    if isinstance(detail, list):
        if all(not isinstance(item, dict | list) for item in detail):
            return [{"field": path, "message": str(item)} for item in detail]
        return [
            each for place, item in enumerate(detail) for each in _fields(item, f"{path}[{place}]")
        ]
    return [{"field": path, "message": str(detail)}]


def _summary(errors: list[dict[str, str]]) -> str:
    first = errors[0] if errors else {"field": "", "message": "The request is not valid."}
    return f"{first['field']}: {first['message']}" if first["field"] else first["message"]


def not_found(request: HttpRequest, exception: Exception | None = None) -> HttpResponse:
    """An address that does not exist: a problem for the API's callers, a page for people."""
    return _page(request, 404, "not_found", "There is no such thing here.")


def server_error(request: HttpRequest) -> HttpResponse:
    """An error outside DRF's reach."""
    return _page(
        request, 500, "internal_error", "Something went wrong on our side; it has been logged."
    )


def database_away(request: HttpRequest, error: Exception) -> HttpResponse:
    """The transaction around a view could not begin or end: outside DRF's reach, and not an error of ours."""
    log.error("the database is away: %s", error)
    response = _page(request, 503, *UNAVAILABLE, retryable=True)
    response["Retry-After"] = "1"
    return response


def not_ready(standing: Standing) -> HttpResponse:
    """A check fails, so nothing may be decided: which one, and what an agent must take it for."""
    response = JsonResponse(
        problem(
            503,
            UNAVAILABLE[0],
            f"The check {standing.failing} fails: {standing.text}",
            check=standing.failing,
            verdict="block",
            retryable=True,
        ).data,
        status=503,
        content_type=CONTENT_TYPE,
    )
    response["Retry-After"] = "1"
    return response


def _page(
    request: HttpRequest, status: int, code: str, detail: str, **members: Any
) -> HttpResponse:
    if request.path.startswith("/api/"):
        return JsonResponse(
            problem(status, code, detail, **members).data, status=status, content_type=CONTENT_TYPE
        )
    return HttpResponse(
        get_template("problem.html").render({"title": TITLES[status], "detail": detail}),
        status=status,
    )
