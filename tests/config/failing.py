"""The site with two routes that fail as no route of ours should: what then is answered is looked at."""

from __future__ import annotations

from django.http import HttpRequest, HttpResponse
from django.urls import path

from config.urls import handler400, handler404, handler500
from config.urls import urlpatterns as of_the_site

__all__ = ["handler400", "handler404", "handler500", "urlpatterns"]


def fails(request: HttpRequest) -> HttpResponse:
    raise RuntimeError("as no route should")


urlpatterns = [path("fails", fails), path("api/v1/fails", fails), *of_the_site]
