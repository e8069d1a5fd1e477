"""``bench guard``, over HTTP: a decision, record included, beside one row that plain Django inserts."""

from __future__ import annotations

import json
import time
from collections.abc import Callable
from http import HTTPStatus
from http.client import HTTPConnection
from typing import Any

import httpx
from django.db import transaction

from governance.database.tenancy import tenant_scope
from governance.models import Tenant
from policies.models import Policy
from policies.services import policy_set

from .race import BenchError, percentiles
from .reports import site, token_of

WANTED_P95 = 1.5
STORED = 1_000
"""Policies of the tenant, APPLYING of them about the call; how verdicts grow with them is measured in memory."""
APPLYING = 10
WARM = 200
READY_SECONDS = 60.0
TURNS = 40
"""The two take turns so often: what else happens on the machine happens to both."""
ROUTES = {"decision": "/api/v1/guard/decisions", "insert": "/api/v1/bench/insert"}


def measure(tenant: Tenant, *, decisions: int, say: Callable[[str], None]) -> dict[str, Any]:
    """p50 and p95 in milliseconds, by one client on one server of one process."""
    say(f"storing {STORED} policies")
    _store(tenant)
    token = token_of(tenant)
    took: dict[str, list[float]] = {name: [] for name in ROUTES}
    with site("config.bench.guard_site:application", workers=1) as address:
        _await_ready(address)
        client = HTTPConnection(address.removeprefix("http://"), timeout=30.0)
        for route in ROUTES.values():
            for number in range(WARM):
                _post(client, route, token, number)
        for turn in range(TURNS):
            for name, route in ROUTES.items():
                for number in range(decisions // TURNS):
                    took[name].append(_post(client, route, token, turn * decisions + number))
        client.close()
    found = {name: percentiles(several) for name, several in took.items()}
    ratio = {at: round(found["decision"][at] / found["insert"][at], 2) for at in ("p50", "p95")}
    return {
        "stored": STORED,
        "http_ms": found,
        "http_ratios": ratio,
        "failed": ["http p95"] if ratio["p95"] > WANTED_P95 else [],
    }


def _await_ready(address: str) -> None:
    latest = time.monotonic() + READY_SECONDS
    while (
        answer := httpx.get(f"{address}/readyz", timeout=READY_SECONDS)
    ).status_code != HTTPStatus.OK:
        if time.monotonic() > latest:
            raise BenchError(f"The site is not ready: {answer.text[:300]}")
        time.sleep(0.2)


def _store(tenant: Tenant) -> None:
    with tenant_scope(tenant.id), transaction.atomic():
        made = Policy.objects.bulk_create(
            Policy(
                name=f"policy {number}",
                state=Policy.State.ACTIVE,
                condition=f'action.tool == "{"pay" if number < APPLYING else f"tool-{number}"}'
                f'" && arguments.amount > {1_000 + number}',
            )
            for number in range(STORED)
        )
        policy_set.bump(made)


def _post(client: HTTPConnection, route: str, token: str, number: int) -> float:
    """Milliseconds for one question. Raises BenchError for anything but a yes."""
    body = {
        "agent_id": "scout",
        "run_id": "bench",
        "step": number,
        "action": {"tool": "pay", "arguments": {"amount": 5, "currency": "EUR", "note": "x" * 40}},
    }
    headers = {"Authorization": f"Bearer {token}", "Content-Type": "application/json"}
    began = time.perf_counter()
    client.request("POST", route, json.dumps(body), headers)
    answer = client.getresponse()
    said = answer.read()
    took = (time.perf_counter() - began) * 1_000
    if answer.status != HTTPStatus.OK:
        raise BenchError(f"{route} answered {answer.status}: {said[:300]!r}")
    return took
