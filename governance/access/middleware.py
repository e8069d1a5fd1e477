"""Which tenant a signed-in person works for, and what a page may load."""

from __future__ import annotations

import inspect
from collections.abc import Callable
from typing import Any

from django.db import InterfaceError, InternalError, OperationalError
from django.http import HttpRequest, HttpResponseBase

from ..database.tenancy import leave_tenant, tenant_scope
from ..gestures import new_gesture
from ..models import Membership
from . import problems
from .problems import is_api

SESSION_KEY = "tenant"
_AWAY = (OperationalError, InterfaceError, InternalError)
GetResponse = Callable[[HttpRequest], HttpResponseBase]


class TenantMiddleware:
    """Runs a signed-in person's pages in the scope of the tenant that the session names.

    The view and the rendering of its template are one transaction: a template may still read rows. API requests
    carry a token instead and are scoped by its authentication; whatever they entered is left here.
    """

    def __init__(self, get_response: GetResponse) -> None:
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponseBase:
        try:
            return self.get_response(request)
        finally:
            leave_tenant()

    def process_view(
        self, request: HttpRequest, view: Any, args: tuple[Any, ...], kwargs: dict[str, Any]
    ) -> HttpResponseBase | None:
        request.membership = None  # type: ignore[attr-defined]
        if is_api(request) or not request.user.is_authenticated:
            return None
        membership = membership_of(request)
        if membership is None:
            return None
        request.membership = membership  # type: ignore[attr-defined]
        if _is_async(view):
            return None
        try:
            with tenant_scope(membership.tenant_id):
                response: HttpResponseBase = view(request, *args, **kwargs)
                if hasattr(response, "render") and callable(response.render):
                    response = response.render()
                return response
        except _AWAY as error:
            # Of what a view does here Django tells no middleware: it would call it an error of ours.
            return problems.database_away(request, error)

    def process_exception(self, request: HttpRequest, error: Exception) -> HttpResponseBase | None:
        """Answer 503 when the database went away while the request's transaction was opened or closed."""
        return problems.database_away(request, error) if isinstance(error, _AWAY) else None


def membership_of(request: HttpRequest) -> Membership | None:
    """The membership that the session chose, or the person's first."""
    own = (
        Membership.objects.select_related("tenant")
        .filter(user_id=request.user.pk or 0)
        .order_by("pk")
    )
    chosen = request.session.get(SESSION_KEY)
    return (own.filter(tenant_id=chosen).first() if chosen else None) or own.first()


def _is_async(view: Any) -> bool:
    return inspect.iscoroutinefunction(view) or bool(getattr(view, "view_is_async", False))


def gesture_middleware(get_response: GetResponse) -> GetResponse:
    """Whatever a request causes shares the id that its answer names."""

    def middleware(request: HttpRequest) -> HttpResponseBase:
        with new_gesture() as made:
            request.gesture = made  # type: ignore[attr-defined]  # for what is logged once we are out of here
            response = get_response(request)
        response["Gesture-Id"] = made
        return response

    return middleware
