"""Who may call a route. A route that names no right is closed to everybody."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeVar

from rest_framework.permissions import BasePermission
from rest_framework.request import Request

from .matrix import Right
from .principals import Principal

Opened = TypeVar("Opened", bound=Callable[..., Any])


def declared(view: Any, method: str) -> Right | None:
    """The right that a view asks for: ``access = {"list": READ, "post": ACT}``, by action or method."""
    table: dict[str, Right] = getattr(view, "access", {})
    return table.get(getattr(view, "action", None) or method.lower())


def allows(right: Right | None, caller: Any) -> bool:
    """Whether this caller has the right; no right named is no."""
    if right is None:
        return False
    return right.public or (isinstance(caller, Principal) and caller.has(right))


def opened_by(right: Right, methods: tuple[str, ...] = ("GET",)) -> Callable[[Opened], Opened]:
    """Say by which right a plain view is opened, for the walk over all doors; the view asks for it itself."""

    def say(view: Opened) -> Opened:
        view.right, view.methods = right, methods  # type: ignore[attr-defined]
        return view

    return say


class Declared(BasePermission):
    """Denies unless the route names a right, and the caller has it."""

    def has_permission(self, request: Request, view: Any) -> bool:
        caller: Any = request.user
        if allows(declared(view, request.method or ""), caller):
            return True
        if isinstance(caller, Principal) and hasattr(view, "locate"):
            # A foreign or made-up id must look the same to every role: ask for the record first.
            view.locate()
        return False
