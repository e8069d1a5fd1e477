"""What `manage.py check` asks of the models, so that a mistake is known before a database is."""

from __future__ import annotations

from typing import Any

from django.core.checks import CheckMessage, Error

from .isolation import tenant_models
from .scoped import TenantManager


def managers_are_scoped(**_: Any) -> list[CheckMessage]:
    """governance.E001: a tenant's model with a manager that would find every tenant's rows."""
    return [
        Error(
            f"{model._meta.label}.{manager.name} is no TenantManager.",
            hint="A queryset class goes through TenantManager.from_queryset(…)().",
            obj=model,
            id="governance.E001",
        )
        for model in tenant_models()
        for manager in {*model._meta.managers, model._meta.base_manager}
        if not isinstance(manager, TenantManager)
    ]
