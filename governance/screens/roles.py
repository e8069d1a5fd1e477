"""The page that says who may do what: the matrix, as permissions and their test are made from it."""

from __future__ import annotations

from dataclasses import dataclass

from django.http import HttpRequest, HttpResponse
from django.shortcuts import render

from ..access.matrix import MATRIX, OVERSEE, Right
from ..models import Role
from .pages import page

AGENT, SERVER = "agent", "the server"
HOLDERS = (AGENT, *Role.values, SERVER)


@dataclass(frozen=True, slots=True)
class Cell:
    """Whether one kind of caller has a right, and whether it is the reader's own."""

    has: bool
    is_own: bool


@page(OVERSEE)
def show(request: HttpRequest) -> HttpResponse:
    """Every right with who has it; the reader's own column stands out."""
    role = request.membership.role  # type: ignore[attr-defined]
    own = {role, SERVER} if request.user.is_superuser else {role}
    context = {
        "holders": [(name, name in own) for name in HOLDERS],
        "role": role,
        "rows": [
            (right, [Cell(_has(right, name), name in own) for name in HOLDERS])
            for right in MATRIX
            if not right.public
        ],
    }
    return render(request, "governance/roles.html", context)


def _has(right: Right, holder: str) -> bool:
    match holder:
        case "agent":
            return right.agents
        case "the server":
            return right.server
    return right.belongs_to(Role(holder))
