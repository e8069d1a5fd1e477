"""Hostile bodies at every route that takes one: refused or taken, and never an error of ours."""

from __future__ import annotations

import os
import random
import re
from collections import Counter

import pytest
from django.db import transaction
from django.test import Client
from rest_framework.test import APIClient

from config.doors import Door, doors
from governance.database.tenancy import leave_tenant
from governance.models import Tenant
from tests import factories

from .hostile import WANTED, bodies

pytestmark = pytest.mark.slow

# So many of them at each route; all by hand: HOSTILE_BODIES=500 pytest tests/config/test_hostile.py
SHARE = int(os.environ.get("HOSTILE_BODIES", "25"))
TAKES_A_BODY = {"POST", "PUT", "PATCH", "DELETE"}


def test_there_are_five_hundred_and_they_differ() -> None:
    found = list(bodies())
    assert len(found) == WANTED
    assert len(set(found)) > WANTED * 0.9


def test_no_route_of_the_api_fails_on_a_hostile_body(acme: Tenant) -> None:
    client = APIClient()
    boss = factories.person_token(acme, factories.member(acme, "boss", "admin"))
    incident = factories.report().incident.id
    leave_tenant()
    client.credentials(HTTP_AUTHORIZATION=f"Bearer {boss}")
    rng, found = random.Random(3), list(bodies())
    statuses: Counter[int] = Counter()
    for door in doors():
        if door.kind != "API" or door.method not in TAKES_A_BODY:
            continue
        for body in rng.sample(found, SHARE):
            address = address_of(door, incident)
            with transaction.atomic():
                answer = client.generic(door.method, address, body, "application/json")  # type: ignore[arg-type]
                leave_tenant()
                transaction.set_rollback(True)
            statuses[answer.status_code] += 1
            assert answer.status_code != 500, f"{door}: {body[:200]!r}"
    assert sum(statuses.values()) > 500
    assert statuses[400] > 100


def address_of(door: Door, incident: str) -> str:
    return re.sub(
        r"\{(\w+)\}", lambda name: incident if name[1] == "incident" else "loop", door.address
    )


@pytest.mark.parametrize(
    "query",
    ["limit=-1", "limit=%F0", "cursor=%ff", "cursor=" + "A" * 3_000, "state=" + "x" * 3_000, "agent=%ED%A0%80",
     "trace=x", "priority=9" * 9, "created_at__gte=x", "id__in=,", "o=9.9", "p=" + "9" * 30, "e=1", "_popup=x", "q=" + "x" * 3_000],
)  # fmt: skip
def test_no_list_fails_on_a_hostile_query(acme: Tenant, query: str) -> None:
    vera = factories.member(acme, "vera", "admin")
    token = factories.person_token(acme, vera)
    leave_tenant()
    page, api = Client(), APIClient()
    page.force_login(vera)
    api.credentials(HTTP_AUTHORIZATION=f"Bearer {token}")
    for door in doors():
        if door.method == "GET" and "{" not in door.address and "stream" not in door.address:
            client = api if door.kind == "API" else page
            answer = client.get(f"{door.address}?{query}")
            assert answer.status_code < 500 or "readyz" in door.address, f"{door}?{query}"
