"""The first layer of isolation: every queryset of a tenant's model asks for the tenant in scope.

The filter names no tenant. Its parameter is one object, ``IN_SCOPE``, that psycopg writes out as the id of the
tenant in scope at the moment when the statement is sent: so a queryset may be made in one scope and asked in
another, and a text that is made once (``compiled.py``) serves every tenant. Outside every scope it is the empty
text, which is nobody's id. Row-level security says the same again, and neither relies on the other.
"""

from __future__ import annotations

from functools import cache
from typing import Any, TypeVar

import psycopg
from django.db import models
from django.db.models import CharField, Expression, QuerySet
from django.db.models.sql import Query
from psycopg.adapt import Dumper

from .tenancy import current_tenant

Row = TypeVar("Row", bound=models.Model)


class InScope:
    """Stands for the id of the tenant in scope, among the parameters of any statement."""

    def __repr__(self) -> str:
        return "IN_SCOPE"

    def __reduce__(self) -> str:
        return "IN_SCOPE"


# Any: the stubs know which types a parameter may have, and not that psycopg can be taught more.
IN_SCOPE: Any = InScope()


class InScopeDumper(Dumper):
    """Writes the id out when the statement is sent, whichever way it is bound."""

    oid = psycopg.adapters.types["text"].oid

    def dump(self, obj: InScope) -> bytes:
        return (current_tenant() or "").encode()


# Before the first connection: Django copies what is registered here for its own.
psycopg.adapters.register_dumper(InScope, InScopeDumper)


class TenantInScope(Expression):
    """The id of the tenant in scope, in a queryset."""

    output_field = CharField()

    def as_sql(self, compiler: Any, connection: Any) -> tuple[str, tuple[Any, ...]]:
        return "%s", (IN_SCOPE,)


class TenantManager(models.Manager[Row]):
    """Finds the rows of the tenant in scope; what related records are found by is made from it too."""

    def get_queryset(self) -> QuerySet[Row]:
        made: type[QuerySet[Row]] = self._queryset_class  # type: ignore[attr-defined]
        # The filter is made once: to clone it costs a tenth of making it.
        return made(self.model, _scoped(self.model).clone(), self._db, self._hints)  # type: ignore[attr-defined]


@cache
def _scoped(model: type[models.Model]) -> Query:
    return QuerySet(model).filter(tenant_id=TenantInScope()).query
