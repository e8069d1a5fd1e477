"""What import-linter cannot see: foreign keys are imports too, also those written as text; and pages name files."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from django.apps import apps
from django.conf import settings
from django.db import models

from governance.database.fields import OwnerField, TenantForeignKey, TenantModel

STAIRS = ["governance", "incidents", "catalog", "recovery", "policies", "routing", "config"]
OURS = [model for model in apps.get_models() if model._meta.app_label in STAIRS]


@pytest.mark.parametrize("model", OURS, ids=lambda model: model._meta.label)
def test_foreign_keys_go_down_the_stairs(model: type[models.Model]) -> None:
    here = STAIRS.index(model._meta.app_label)
    for field in model._meta.get_fields():
        if isinstance(field, models.ForeignKey) and field.related_model._meta.app_label in STAIRS:
            assert STAIRS.index(field.related_model._meta.app_label) <= here, field


@pytest.mark.parametrize("model", OURS, ids=lambda model: model._meta.label)
def test_a_key_between_tenants_rows_is_a_tenants_key(model: type[models.Model]) -> None:
    for field in model._meta.local_fields:
        if isinstance(field, models.ForeignKey) and issubclass(field.related_model, TenantModel):
            assert isinstance(field, TenantForeignKey), field
    if issubclass(model, TenantModel):
        assert isinstance(model._meta.get_field("tenant"), OwnerField)


@pytest.mark.parametrize("model", OURS, ids=lambda model: model._meta.label)
def test_a_unique_key_of_a_tenants_table_begins_with_the_tenant(model: type[models.Model]) -> None:
    if not issubclass(model, TenantModel):
        return
    for field in model._meta.local_fields:
        # The hash of a token is 256 random bits: it says nothing about who else has one.
        assert field.primary_key or not field.unique or field.name == "hash", field
    for constraint in model._meta.constraints:
        if isinstance(constraint, models.UniqueConstraint):
            assert constraint.fields[0] == "tenant", constraint.name


PAGES = [
    page
    for folder in (".", "docs", "sdk")
    for page in sorted(
        (Path(settings.BASE_DIR) / folder).glob("**/*.md" if folder == "docs" else "*.md")
    )
]


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_a_page_names_files_that_are_there(page: Path) -> None:
    named = re.findall(r"\]\(([^)#:]+)(?:#[^)]*)?\)", page.read_text())
    missing = [name for name in named if not (page.parent / name).exists()]
    assert not missing
