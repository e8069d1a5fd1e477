"""What makes a function a page of the console: who may open it, and how it says no."""

from __future__ import annotations

from collections.abc import Callable
from functools import wraps
from typing import Any

from django.contrib.auth.views import redirect_to_login
from django.http import HttpRequest, HttpResponse, HttpResponseBase
from django.shortcuts import render

from ..access.matrix import READ, Right
from ..access.permissions import opened_by
from .people import may

View = Callable[..., HttpResponseBase]


def page(
    right: Right = READ, *, methods: tuple[str, ...] = ("GET", "HEAD")
) -> Callable[[View], View]:
    """A page for members of the tenant who have a right. Others are sent to sign in, or told why not."""

    def decorate(view: View) -> View:
        @wraps(view)
        def guarded(request: HttpRequest, *args: Any, **kwargs: Any) -> HttpResponseBase:
            if not request.user.is_authenticated:
                return redirect_to_login(request.get_full_path())
            membership = getattr(request, "membership", None)
            if membership is None:
                return refuse(
                    request, "You belong to no tenant", "Ask an administrator to add you to one."
                )
            if request.method not in methods:
                return HttpResponse(status=405, headers={"Allow": ", ".join(methods)})
            if not may(membership, right):
                return refuse(
                    request,
                    f"Only some may {right.name}",
                    f"It is for {right.holders}; you are {membership.role} of {membership.tenant.name}. "
                    "Ask an administrator for more.",
                )
            return view(request, *args, **kwargs)

        return opened_by(right, methods)(guarded)

    return decorate


def refuse(request: HttpRequest, title: str, text: str, *, status: int = 403) -> HttpResponse:
    """A clear page, or for HTMX a notice, that says what cannot be done and why."""
    template = "governance/_notice.html" if is_htmx(request) else "governance/refused.html"
    return render(request, template, {"title": title, "text": text, "tone": "bad"}, status=status)


def is_htmx(request: HttpRequest) -> bool:
    """Whether HTMX asks for a fragment rather than a browser for a page."""
    return bool(getattr(request, "htmx", False))
