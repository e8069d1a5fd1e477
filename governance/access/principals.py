"""Who is calling: a service account or a person, and in which tenant."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from rest_framework.request import Request

from ..actors import Actor
from ..models import Role, User
from .matrix import Right


@dataclass(frozen=True, slots=True)
class Principal:
    """An authenticated caller; ``role`` is None for a service account."""

    tenant_id: str
    actor: Actor
    token_id: str
    role: Role | None = None
    user: User | None = None

    is_authenticated = True

    def has(self, right: Right) -> bool:
        return right.belongs_to(self.role)

    @property
    def pk(self) -> str:
        return str(self.actor)


def principal_of(request: Request) -> Principal:
    """The caller of a route that is not public."""
    principal: Any = request.user
    if not isinstance(principal, Principal):
        raise TypeError("This route has no principal: it must not be public.")
    return principal


def actor_of(request: Request) -> Actor:
    """The caller, as records keep him."""
    return principal_of(request).actor
