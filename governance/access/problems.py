"""Every error of the API as problem details (RFC 9457) that name the field and the limit."""

from __future__ import annotations

import logging
from typing import Any

from django.conf import settings
from django.core.exceptions import PermissionDenied, RequestDataTooBig
from django.core.exceptions import ValidationError as DjangoValidationError
from django.db import DatabaseError, DataError, InterfaceError, InternalError, OperationalError
from django.http import Http404, HttpRequest, HttpResponse, JsonResponse
from django.template.loader import get_template
from psycopg.errors import ReadOnlySqlTransaction
from rest_framework import exceptions
from rest_framework.response import Response
from rest_framework.views import set_rollback

from ..database.deadline import LATE
from ..readiness import Standing
from ..refusals import Refusal
from .wire import CONTENT_TYPE, TITLES, members_of

log = logging.getLogger("antibody.api")

UNAVAILABLE = "governance_unavailable"
AWAY = 503
# What an agent must take any 503 of a route that decides for.
NO: dict[str, Any] = {"verdict": "block"}


def handle(error: Exception, context: dict[str, Any]) -> Response | None:
    """DRF's exception handler: whatever was raised, as a problem; nothing half-written stays."""
    set_rollback()
    match error:
        case Refusal():
            return _of_refusal(error)
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
        case OperationalError() | InterfaceError() | InternalError():
            return _away(error, is_spine=_is_spine(context.get("request")))
        case DatabaseError() if _is_spine(context.get("request")):
            # A table or a right that is missing, say. Whoever decides is in doubt, and says no.
            return _away(error, is_spine=True)
    log.error("unexpected error in %s", type(context.get("view")).__name__, exc_info=error)
    return problem(500, "internal_error", "Something went wrong on our side; it has been logged.")


def problem(status: int, code: str, detail: str, **members: Any) -> Response:
    """One problem as an answer of a view."""
    body = members_of(status, code, detail, **members)
    return Response(body, status=status, content_type=CONTENT_TYPE)


def _of_refusal(error: Refusal) -> Response:
    response = problem(error.status, error.code, str(error), **error.extra)
    if error.retry_after is not None:
        response["Retry-After"] = str(error.retry_after)
    return response


def _of_drf(error: exceptions.APIException) -> Response:
    code = error.get_codes()
    response = problem(
        error.status_code,
        code if isinstance(code, str) else "error",
        str(error.detail),
        **getattr(error, "members", {}),
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
            return [{"field": path, "message": _words(item)} for item in detail]
        return [
            each for place, item in enumerate(detail) for each in _fields(item, f"{path}[{place}]")
        ]
    return [{"field": path, "message": _words(detail)}]


def _words(item: Any) -> str:
    """An error in words. What was sent in place of a choice may be anything, also a secret: it is not said again."""
    if getattr(item, "code", "") == "invalid_choice":
        return "This is not one of the choices that the API's description names."
    return str(item)


def _summary(errors: list[dict[str, str]]) -> str:
    first = errors[0] if errors else {"field": "", "message": "The request is not valid."}
    return f"{first['field']}: {first['message']}" if first["field"] else first["message"]


def is_api(request: HttpRequest) -> bool:
    """Whether the request is for the API, which knows no sessions and answers in JSON."""
    return request.path.startswith("/api/")


def bad_request(request: HttpRequest, exception: Exception | None = None) -> HttpResponse:
    """What Django itself will not take: too large a form, a host that is not ours."""
    if isinstance(exception, RequestDataTooBig):
        limit = settings.DATA_UPLOAD_MAX_MEMORY_SIZE
        return refuse(
            request, 413, "too_large", f"The body is larger than {limit} bytes.", limit=limit
        )
    return refuse(request, 400, "invalid", "The request cannot be read.")


def not_found(request: HttpRequest, exception: Exception | None = None) -> HttpResponse:
    """An address that does not exist: a problem for the API's callers, a page for people."""
    return refuse(request, 404, "not_found", "There is no such thing here.")


def server_error(request: HttpRequest) -> HttpResponse:
    """An error outside DRF's reach."""
    return refuse(
        request, 500, "internal_error", "Something went wrong on our side; it has been logged."
    )


def database_away(request: HttpRequest, error: Exception) -> HttpResponse:
    """The transaction around a view could not begin or end: outside DRF's reach, and not an error of ours."""
    return _told(request, _away(error, is_spine=_is_spine(request)))


def not_ready(request: HttpRequest, standing: Standing, *, is_spine: bool) -> HttpResponse:
    """A check fails: which one, for an agent that will ask again."""
    detail = f"The check {standing.failing} fails: {standing.text}"
    return _told(request, _unavailable(standing.failing, detail, is_spine=is_spine))


def _away(error: Exception, *, is_spine: bool) -> Response:
    log.error("the database is away: %s", error)
    return _unavailable("database", _why(error), is_spine=is_spine)


def _why(error: Exception) -> str:
    cause = error.__cause__
    if isinstance(cause, LATE):
        return "The database did not answer in time."
    if isinstance(cause, ReadOnlySqlTransaction):
        return "The database cannot be written to."
    return "The database cannot be reached."


def _unavailable(check: str, detail: str, *, is_spine: bool) -> Response:
    members = {"check": check, "retryable": True, **(NO if is_spine else {})}
    response = problem(AWAY, UNAVAILABLE, detail, **members)
    response["Retry-After"] = "1"
    return response


def _is_spine(request: Any) -> bool:
    """Whether somebody waits for this answer before he acts; DRF's request hands on what Django's knows."""
    return bool(getattr(request, "is_spine", False))


def _told(request: HttpRequest, unavailable: Response) -> HttpResponse:
    """The same in the form that who asks can read."""
    if is_api(request):
        return _as_json(unavailable)
    response = _for_people(AWAY, unavailable.data["detail"])
    response["Retry-After"] = unavailable["Retry-After"]
    return response


def _as_json(answer: Response) -> HttpResponse:
    """A problem from outside DRF, which has nobody there to render it."""
    response = JsonResponse(answer.data, status=answer.status_code, content_type=CONTENT_TYPE)
    for name, value in answer.headers.items():
        response.setdefault(name, value)
    # Said once by whoever saw it first; Django would write a line for every caller.
    response._has_been_logged = True  # type: ignore[attr-defined] # noqa: SLF001
    return response


def refuse(
    request: HttpRequest, status: int, code: str, detail: str, **members: Any
) -> HttpResponse:
    """A refusal outside any view: a problem for the API's callers, a page for people."""
    if is_api(request):
        return _as_json(problem(status, code, detail, **members))
    return _for_people(status, detail)


def _for_people(status: int, detail: str) -> HttpResponse:
    return HttpResponse(
        get_template("problem.html").render({"title": TITLES[status], "detail": detail}),
        status=status,
    )
