"""Who turns modes: operators and admins of acme."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from governance.actors import Actor
from governance.ledger.sequencer import number_entries
from governance.models import Bypass, Tenant, User
from governance.modes import bypassing
from policies.services import ruleset

from .. import factories


@pytest.fixture(autouse=True)
def no_signer(settings: Any, tmp_path: Path) -> None:
    """No signer was ever started here, whatever this machine's own folder holds."""
    settings.LEDGER_DIR = tmp_path / "ledger"


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


def bypassed(asks: Actor, confirms: Actor, minutes: int = 30) -> Bypass:
    """A bypass of the tenant in scope, in force."""
    bypass = bypassing.ask(minutes=minutes, actor=asks, reason="The guard is wrong about all")
    bypassing.confirm(bypass, actor=confirms)
    number_entries()
    assert bypassing.come_into_force()
    bypass.refresh_from_db()
    return bypass
