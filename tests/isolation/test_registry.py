"""What could show one tenant another's rows is known to the registry, or the build fails."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
from django.apps import apps
from django.contrib import admin
from django.core.management import get_commands
from django.db import models
from django.http import HttpRequest, HttpResponse
from django.test import override_settings
from django.test.utils import isolate_apps
from django.urls import URLPattern, URLResolver, path
from unfold.admin import ModelAdmin

from config import isolation, urls
from governance.access.views import ApiView
from governance.models import Agent, User
from governance.screens.pages import page


def strange(request: HttpRequest) -> HttpResponse:
    return HttpResponse("everybody's")


async def strange_stream(request: HttpRequest) -> HttpResponse:
    return HttpResponse("everybody's")


class Known(ApiView):
    """Held by its token."""


urlpatterns: list[URLPattern | URLResolver] = [
    *urls.urlpatterns,
    path("strange", strange, name="strange"),
    path("strange/stream", strange_stream, name="strange_stream"),
    path("known", Known.as_view(), name="known"),
    path("page", page()(strange), name="page"),
]


def ids() -> list[str]:
    return sorted(str(error.id) for error in isolation.everything_is_known())


def test_everything_is_known() -> None:
    assert isolation.everything_is_known() == []
    derived = [route for route in isolation.routes() if route.name not in isolation.OTHER_ROUTES]
    assert len(derived) > 300


def test_no_exception_outlives_what_it_was_made_for() -> None:
    labels = {model._meta.label for model in apps.get_models(include_auto_created=True)}
    pages = {model._meta.label for model in admin.site._registry}
    names = {route.name for route in isolation.routes()}
    assert set(isolation.GLOBAL_MODELS) <= labels
    assert set(isolation.GLOBAL_ADMINS) <= pages
    assert set(isolation.OTHER_ROUTES) | set(isolation.STREAMS) <= names
    assert set(isolation.COMMANDS) <= set(get_commands())
    for listed in (
        isolation.GLOBAL_MODELS,
        isolation.GLOBAL_ADMINS,
        isolation.OTHER_ROUTES,
        isolation.STREAMS,
        isolation.COMMANDS,
    ):
        assert all(reason.strip() for reason in listed.values())


@pytest.fixture
def strangers() -> Iterator[None]:
    with override_settings(ROOT_URLCONF=__name__):
        yield


@pytest.mark.usefixtures("strangers")
def test_a_route_and_a_stream_that_nobody_vouched_for_are_errors() -> None:
    assert ids() == ["antibody.E103", "antibody.E104"]


@isolate_apps("governance")
def test_a_model_without_a_tenant_is_an_error(monkeypatch: pytest.MonkeyPatch) -> None:
    class Everybodys(models.Model):
        class Meta:
            app_label = "governance"

        def __str__(self) -> str:
            return "everybody's"

    known = apps.get_models

    def with_one_more(*args: Any, **kwargs: Any) -> list[type[models.Model]]:
        return [*known(*args, **kwargs), Everybodys]

    monkeypatch.setattr(apps, "get_models", with_one_more)
    assert ids() == ["antibody.E101"]


@pytest.mark.parametrize("model", [Agent, User])
def test_an_admin_page_that_is_not_made_from_ours_is_an_error(
    monkeypatch: pytest.MonkeyPatch, model: type[models.Model]
) -> None:
    plain = ModelAdmin(model, admin.site)
    monkeypatch.setitem(admin.site._registry, model, plain)
    assert ids() == ["antibody.E102"]


def test_a_command_that_says_nothing_is_an_error(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delitem(isolation.COMMANDS, "match")
    assert ids() == ["antibody.E105"]
