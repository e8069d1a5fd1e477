"""The page that says what becomes of what when something fails: the table, as it is tested."""

from __future__ import annotations

from django.http import HttpRequest, HttpResponse
from django.shortcuts import render

from .. import readiness
from ..failmodes import FAULTS, TABLE, Op, Outcome
from .pages import page


@page()
def show(request: HttpRequest) -> HttpResponse:
    """Every fault with what becomes of everything under it; and which check fails now, if one does."""
    lines = [(fault, [TABLE[fault.name][op] for op in Op]) for fault in FAULTS]
    context = {
        "lines": lines,
        "done": list(Op),
        "outcomes": list(Outcome),
        "now": readiness.standing(),
    }
    return render(request, "governance/failmodes.html", context)
