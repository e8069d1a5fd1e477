"""The console's page about all policies together."""

from __future__ import annotations

from django.http import HttpRequest, HttpResponse
from django.shortcuts import render

from governance.screens.pages import page
from policies.services import coverage

DAYS = (1, 7, 30, 90)
LONGEST_TOOL = 200


@page()
def show_coverage(request: HttpRequest) -> HttpResponse:
    """Calls that a policy spoke of, policies that never did, and those in each other's way; filters in the address."""
    wanted = request.GET.get("days", "")
    days = int(wanted) if wanted in map(str, DAYS) else coverage.DAYS
    tool = request.GET.get("tool", "").replace("\x00", "")[:LONGEST_TOOL]
    found = coverage.coverage(days=days, tool=tool)
    context = {"found": found, "days": days, "choices": DAYS, "tool": tool}
    return render(request, "policies/coverage.html", context)
