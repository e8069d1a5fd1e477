"""``manage.py graduation``: the gates of a tenant, rehearsals that never count, and forgetting them."""

from __future__ import annotations

import json
from io import StringIO
from typing import Any

import pytest
from django.core.management import CommandError, call_command

from governance.actors import Actor
from governance.database.tenancy import leave_tenant
from governance.models import Tenant
from tests.policies import living


def run(*args: str) -> dict[str, Any]:
    out = StringIO()
    call_command("graduation", *args, "--json", stdout=out)
    answer: dict[str, Any] = json.loads(out.getvalue().splitlines()[-1])
    return answer


def simulated(status: dict[str, Any]) -> list[int]:
    return [gate["simulated"] for gate in status["gates"].values()]


def test_rehearsals_are_counted_apart_and_forgotten(acme: Tenant, rita: Actor) -> None:
    living.active(living.pattern(), rita)
    leave_tenant()
    for what in ("prevention", "regret", "timeline-view"):
        run("--tenant", "acme", "--simulate", what)
    status = run("--tenant", "acme")
    assert simulated(status) == [1, 1, 1]
    assert status["status"] == "ALPHA (0/3 gates)"
    assert simulated(run("--tenant", "acme", "--reset")) == [0, 0, 0]


def test_what_people_read_names_gates_capabilities_and_what_next(acme: Tenant) -> None:
    leave_tenant()
    out = StringIO()
    call_command("graduation", "--tenant", "acme", "--status", stdout=out)
    for part in ("ALPHA (0/3 gates)", "[ ] Prevention", "locked", "Next: "):
        assert part in out.getvalue()


def test_what_cannot_be_rehearsed_is_refused(acme: Tenant) -> None:
    leave_tenant()
    with pytest.raises(CommandError, match="no tenant 'nobody'"):
        run("--tenant", "nobody")
    with pytest.raises(CommandError, match="no such policy"):
        run("--tenant", "acme", "--simulate", "regret")
