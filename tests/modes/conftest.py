"""Who turns modes: operators and admins of acme."""

from __future__ import annotations

import pytest

from governance.actors import Actor
from governance.models import Tenant, User
from policies.services import ruleset

from .. import factories


@pytest.fixture(autouse=True)
def fresh() -> None:
    """Every test begins as a process that has just started."""
    ruleset.forget()


@pytest.fixture
def otto(acme: Tenant) -> Actor:
    """An operator of acme."""
    return person(factories.member(acme, "otto", "operator"))


@pytest.fixture
def ada(acme: Tenant) -> Actor:
    """An admin of acme."""
    return person(factories.member(acme, "ada", "admin"))


@pytest.fixture
def abel(acme: Tenant) -> Actor:
    """Another admin of acme."""
    return person(factories.member(acme, "abel", "admin"))


def person(user: User) -> Actor:
    """A person as records keep them."""
    return Actor("user", str(user.pk), user.username)
