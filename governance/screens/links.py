"""Where a record can be seen, told from its id alone."""

from __future__ import annotations

from functools import cache

from django.apps import apps
from django.urls import NoReverseMatch, reverse

from ..ids import IdField

# Records that have a page of the console, which says more than their page of the admin.
PAGES = {"pat": "catalog:pattern", "pol": "policies:show"}


def page_url(record_id: str) -> str | None:
    """The console's page of a record, else the admin's; None for an id of no model that either shows."""
    name = PAGES.get(str(record_id).partition("_")[0])
    try:
        return reverse(name, args=[record_id]) if name else admin_url(record_id)
    except NoReverseMatch:
        return None


def admin_url(record_id: str) -> str | None:
    """The admin's page of a record, None for an id of no model that the admin shows."""
    name = _names().get(str(record_id).partition("_")[0])
    if name is None:
        return None
    try:
        return reverse(name, args=[record_id])
    except NoReverseMatch:
        return None


def story_url(incident_id: str) -> str:
    """The story of an incident."""
    return reverse("console:story", args=[incident_id])


@cache
def _names() -> dict[str, str]:
    """Names of routes by the prefix of ids: the models say both, so no pillar has to be known here."""
    return {
        model._meta.pk.prefix: f"admin:{model._meta.app_label}_{model._meta.model_name}_change"
        for model in apps.get_models()
        if isinstance(model._meta.pk, IdField) and model._meta.pk.prefix
    }
