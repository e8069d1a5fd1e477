"""Visitors: people who are signed in to the console."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from django.test import Client

from governance.database.tenancy import leave_tenant
from governance.models import Tenant, User

from .. import factories

Visit = Callable[..., Client]


@pytest.fixture(autouse=True)
def no_signer(settings: Any, tmp_path: Path) -> None:
    """No signer was ever started here, whatever this machine's own folder holds."""
    settings.LEDGER_DIR = tmp_path / "ledger"


@pytest.fixture
def visit(acme: Tenant) -> Visit:
    """``visit(role)``: a client signed in as a member of acme; the test leaves acme's scope, as a browser has none."""

    def sign_in(role: str = "viewer", name: str = "vera", of: Tenant = acme) -> Client:
        leave_tenant()
        return client_of(factories.member(of, name, role))

    return sign_in


def client_of(user: User) -> Client:
    """A client signed in as this person."""
    leave_tenant()
    client = Client()
    client.force_login(user)
    return client
