"""Graduation as a page: the gates with their evidence, what is unlocked, what to do next, and its history."""

from __future__ import annotations

from django.http import HttpRequest, HttpResponse
from django.shortcuts import render

from governance.screens.pages import page
from governance.screens.people import names_of
from policies.services import graduation


@page()
def show(request: HttpRequest) -> HttpResponse:
    """How far the tenant has come. What was simulated stands apart, and says that it never counts."""
    status, rows = graduation.status(), graduation.evidence_rows()
    names = names_of(one["actor"] for one in status["history"])
    context = {
        "graduation": status,
        "gates": [(key, gate, rows[key]) for key, gate in status["gates"].items()],
        "history": [{**one, "by": names[one["actor"]]} for one in status["history"]],
    }
    return render(request, "policies/graduation.html", context)
