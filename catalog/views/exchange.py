"""A catalogue as a file on the console: sent out, and taken in after a look at what it would bring."""

from __future__ import annotations

from typing import Any

from django.db import transaction
from django.http import HttpRequest, HttpResponse, HttpResponseBase
from django.shortcuts import render
from rest_framework.exceptions import ParseError

from catalog import services
from catalog.api.exchange import exported
from catalog.models import Pattern
from governance.access import parsers
from governance.access.matrix import CURATE
from governance.access.wire import MOST_BYTES
from governance.refusals import Invalid, Refusal
from governance.screens.pages import is_htmx, page
from governance.screens.people import actor_of

__all__ = ["bring", "export"]


@page()
def export(request: HttpRequest) -> HttpResponseBase:
    """The tenant's catalogue, to keep or to hand on."""
    return exported()


@page(CURATE, methods=("GET", "POST"))
def bring(request: HttpRequest) -> HttpResponse:
    """Look at a file, then take it over: ``shown`` is the digest of what the look found.

    The file is sent both times and nothing of it is kept in between; that it is the same one is what the digest says.
    """
    if request.method != "POST":
        return render(request, "catalog/import.html", {"most_bytes": MOST_BYTES})
    reason, shown = request.POST.get("reason", "")[:2_000], request.POST.get("shown", "")[:64]
    asked: dict[str, Any] = {"most_bytes": MOST_BYTES, "reason": reason}
    try:
        file = _file(request)
        seen = services.plan(file)
    except Refusal as refusal:
        return _answer(request, {**asked, "error": str(refusal)}, status=refusal.status)
    if not shown:
        return _answer(request, {**asked, **_told(seen)})
    try:
        with transaction.atomic():
            done = services.import_catalog(
                file, actor=actor_of(request), reason=reason, shown=shown
            )
    except Refusal as refusal:
        # With what it would bring now, so that only the answer is missing.
        told = {**asked, **_told(seen), "error": str(refusal)}
        return _answer(request, told, status=refusal.status)
    return _answer(request, {**asked, **_told(done), "is_done": True})


def _file(request: HttpRequest) -> Any:
    """The JSON value of the file that was chosen. Raises Invalid."""
    sent = request.FILES.get("file")
    if sent is None:
        raise Invalid("file: choose the file that was exported.", field="file")
    try:
        return parsers.parse(sent.read())
    except ParseError as error:
        raise Invalid(f"file: {error.detail}", field="file") from error


def _told(plan: services.Plan) -> dict[str, Any]:
    clashes = plan.clashes[: services.MOST_TOLD]
    names = dict(
        Pattern.objects.filter(pk__in={each.here for each in clashes}).values_list("id", "name")
    )
    return {
        "plan": plan,
        "new": plan.new[: services.MOST_TOLD],
        "extended": plan.extended[: services.MOST_TOLD],
        "clashes": [(each, names.get(each.here, each.here)) for each in clashes],
        "most_told": services.MOST_TOLD,
    }


def _answer(request: HttpRequest, context: dict[str, Any], status: int = 200) -> HttpResponse:
    template = "catalog/_plan.html" if is_htmx(request) else "catalog/import.html"
    return render(request, template, context, status=status)
