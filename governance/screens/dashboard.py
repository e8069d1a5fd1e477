"""The first page: how the loop is doing, and what waits for a person."""

from __future__ import annotations

from django.http import HttpRequest, HttpResponse
from django.shortcuts import render

from ..story.stats import stats
from . import boards, feeds
from .pages import page
from .rows import told


@page()
def show(request: HttpRequest) -> HttpResponse:
    """The dashboard."""
    after = feeds.newest_place()
    context = {
        "after": after,
        "settings": boards.settings(),
        "figures": stats(boards.HOURS),
        "loops": boards.loops(),
        "most_loops": boards.MOST_LOOPS,
        "waiting": boards.waiting(),
        "preventions": told(boards.preventions()),
        "most_preventions": boards.MOST_PREVENTIONS,
        "graduation": boards.graduation(),
    }
    return render(request, "governance/dashboard.html", context)
