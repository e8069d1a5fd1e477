"""Who looks at a page, and what they may do there."""

from __future__ import annotations

from collections.abc import Iterable
from typing import cast

from django.http import HttpRequest

from ..access.matrix import MATRIX, Right
from ..actors import CLOCK, COMMAND, GUARD, LOOP, Actor
from ..models import Membership, User

SYSTEM = {str(actor): actor.name for actor in (LOOP, GUARD, CLOCK, COMMAND)}


def may(membership: Membership | None, right: Right) -> bool:
    """Whether a member has a right; nobody without a membership may anything."""
    return membership is not None and right.belongs_to(membership.role)


def rights_of(membership: Membership | None) -> dict[str, bool]:
    """The same for templates: ``may.decide_checkpoints``."""
    return {right.key: may(membership, right) for right in MATRIX}


def actor_of(request: HttpRequest) -> Actor:
    """The signed-in person, as records keep them."""
    return Actor("user", str(request.user.pk), request.user.get_username())


def person_of(request: HttpRequest) -> User:
    """The signed-in person, where somebody is."""
    return cast(User, request.user)


def is_looked_at(request: HttpRequest) -> bool:
    """Whether a person gets to see the page: not a browser that looks ahead, nor a program that asks for the head only.

    The headers are those of the Fetch standard and of older browsers; a program could leave them out, but then it
    lies in a person's name and with a person's session.
    """
    purpose = f"{request.headers.get('Sec-Purpose', '')} {request.headers.get('Purpose', '')}"
    is_ahead = "prefetch" in purpose or request.headers.get("X-Moz", "") == "prefetch"
    return request.method == "GET" and not is_ahead


def names_of(actors: Iterable[str]) -> dict[str, str]:
    """What to call those that records keep as ``user:7``, ``service:acc_…`` or ``system:loop``; one query."""
    wanted = set(actors)
    numbers = [
        identity
        for kind, _, identity in map(_split, wanted)
        if kind == "user" and identity.isdigit()
    ]
    people = {
        f"user:{pk}": name
        for pk, name in User.objects.filter(pk__in=numbers).values_list("pk", "username")
    }
    return {actor: people.get(actor) or SYSTEM.get(actor) or _plain(actor) for actor in wanted}


def _split(actor: str) -> tuple[str, str, str]:
    return actor.partition(":")


def _plain(actor: str) -> str:
    kind, _, identity = _split(actor)
    return {"service": "an agent", "user": "a person", "system": identity}.get(kind, actor)
