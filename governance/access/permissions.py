"""Who may call a route. A route that does not say so is closed to everybody."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from rest_framework.permissions import BasePermission
from rest_framework.request import Request

from ..models import Role
from .principals import Principal


@dataclass(frozen=True, slots=True)
class Who:
    """Service accounts, people from a role on, or simply everybody."""

    agents: bool = False
    role: Role | None = None
    public: bool = False

    def includes(self, principal: Principal | None) -> bool:
        if self.public:
            return True
        if principal is None:
            return False
        if principal.role is None:
            return self.agents
        return self.role is not None and principal.may_act_as(self.role)


PUBLIC = Who(public=True)
ANYONE = Who(agents=True, role=Role.VIEWER)
AGENTS = Who(agents=True, role=Role.OPERATOR)
VIEWERS = Who(role=Role.VIEWER)
REVIEWERS = Who(role=Role.REVIEWER)
OPERATORS = Who(role=Role.OPERATOR)
ADMINS = Who(role=Role.ADMIN)


def declared(view: Any, method: str) -> Who | None:
    """What a view says about a method: ``access = {"list": ANYONE, "post": AGENTS}``, by action or method."""
    table: dict[str, Who] = getattr(view, "access", {})
    return table.get(getattr(view, "action", None) or method.lower())


class Declared(BasePermission):
    """Denies unless the route declares who may call it, and the caller is one of them."""

    def has_permission(self, request: Request, view: Any) -> bool:
        who = declared(view, request.method or "")
        caller: Any = request.user
        principal = caller if isinstance(caller, Principal) else None
        if who is not None and who.includes(principal):
            return True
        if principal is not None and hasattr(view, "locate"):
            # A foreign or made-up id must look the same to every role: ask for the record first.
            view.locate()
        return False
