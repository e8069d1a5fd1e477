"""The abstract models that every tenant's table is made from."""

from __future__ import annotations

from typing import Any, ClassVar

from django.db import models
from django.db.models.functions import Now

from .scoped import TenantManager
from .tenancy import required_tenant


class TenantForeignKey(models.ForeignKey):  # type: ignore[type-arg]
    """A foreign key that can only point at a row of the same tenant.

    Django makes no constraint for it: ``isolation.py`` derives ``FOREIGN KEY (tenant_id, x_id)`` and its index.
    """

    def __init__(self, to: Any, on_delete: Any = models.PROTECT, **kwargs: Any) -> None:
        kwargs["db_constraint"] = False
        kwargs["db_index"] = False
        super().__init__(to, on_delete, **kwargs)


class OwnerField(models.ForeignKey):  # type: ignore[type-arg]
    """The tenant that a row belongs to: the one in scope, unless it is said. Migrations know no scope."""

    def __init__(self, **kwargs: Any) -> None:
        usual = {
            "to": "governance.Tenant",
            "on_delete": models.PROTECT,
            "related_name": "+",
            "editable": False,
            "db_index": False,
            "default": required_tenant,
        }
        super().__init__(**{**usual, **kwargs})

    def deconstruct(self) -> tuple[str, str, Any, Any]:
        name, path, args, kwargs = super().deconstruct()
        kwargs["default"] = models.NOT_PROVIDED
        return name, path, args, kwargs


class TenantModel(models.Model):
    """A row that belongs to one tenant, in a table under forced row-level security."""

    append_only: ClassVar[bool] = False
    # Whether only functions of the database add rows: the app's login may not.
    written_by_functions: ClassVar[bool] = False

    tenant = OwnerField()
    created_at = models.DateTimeField(db_default=Now(), editable=False)

    objects = TenantManager()

    class Meta:
        abstract = True
        # Also what Django asks by itself: a related record, a refresh, an update of what was read.
        base_manager_name = "objects"


class AppendOnly(TenantModel):
    """A tenant's row that is written once: the database refuses UPDATE, DELETE and TRUNCATE."""

    append_only = True

    class Meta:
        abstract = True
