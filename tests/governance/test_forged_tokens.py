"""Two hundred tokens that are worth nothing: none is accepted, by the API or by a stream."""

from __future__ import annotations

import base64
import json
import random
from datetime import timedelta

import pytest
from django.test import Client
from django.utils import timezone

from governance import tokens
from governance.actors import COMMAND
from governance.database.tenancy import leave_tenant, tenant_scope
from governance.models import ApiToken, Membership, Tenant, User
from tests import factories

WANTED = 200


def _jwt(**claims: object) -> str:
    parts = ({"alg": "none", "typ": "JWT"}, claims)
    encoded = (
        base64.urlsafe_b64encode(json.dumps(part).encode()).decode().rstrip("=") for part in parts
    )
    return f"{'.'.join(encoded)}."


def forged(good: str, tenant: Tenant) -> list[str]:
    """Authorization headers that look like a good token's and are not."""
    rng = random.Random(1)
    secret = good.removeprefix(tokens.PREFIX)
    found = [f"Bearer {good[:length]}" for length in range(0, len(good), 2)]
    for place in range(len(good)):
        other = chr(ord(good[place]) ^ 1)
        found.append(f"Bearer {good[:place]}{other}{good[place + 1 :]}")
    found += [
        f"Bearer {good}{extra}"
        for extra in ("=", "a", "0", ".", "%00", ";", ",", "/", "\xa0", "\xff", "é")
    ]
    found += [
        f"Bearer {good.swapcase()}",
        f"Bearer {good[::-1]}",
        f"Bearer {secret}",
        f"Bearer {tokens.PREFIX}",
    ]
    found += [
        f"{scheme} {good}"
        for scheme in (
            "Basic",
            "Token",
            "JWT",
            "Digest",
            "ApiKey",
            "Bearer:",
            "bearerx",
            "",
            "Bear er",
            "Negotiate",
        )
    ]
    found += [
        f"Bearer {good} {good}",
        f"Bearer {good}, Bearer {good}",
        f"Bearer, {good}",
        f"Bearer={good}",
        good,
    ]
    found += [f"Bearer {tokens.fingerprint(good)}", f"Bearer {tokens.fingerprint(good)[:43]}"]
    found += [
        f"Bearer {text}"
        for text in (
            "null",
            "undefined",
            "true",
            "0",
            "*",
            "%",
            "' OR 1=1 --",
            "admin",
            "../..",
            "{}",
        )
    ]
    found += [f"Bearer {_jwt(sub=tenant.id, role=role)}" for role in ("admin", "viewer")]
    found += [
        f"Bearer {_jwt(tenant_id=tenant.id, exp=2**31)}",
        f"Bearer {'x' * 201}",
        f"Bearer {'x' * 5_000}",
    ]
    alphabet = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-_"
    while len(found) < WANTED:
        found.append(f"Bearer {tokens.PREFIX}{''.join(rng.choices(alphabet, k=43))}")
    return found


def test_none_of_two_hundred_forged_tokens_is_accepted(acme: Tenant) -> None:
    good = factories.agent_token(acme)
    story = factories.report().incident.id
    leave_tenant()
    client = Client()
    paths = ("/api/v1/agents", f"/api/v1/integration/loop/{story}/stream")
    for path in paths:
        assert client.get(path, headers={"Authorization": f"Bearer {good}"}).status_code == 200
    tried = forged(good, acme)
    assert len(tried) >= WANTED
    for header in tried:
        for path in paths:
            answer = client.get(path, headers={"Authorization": header})
            assert answer.status_code in (401, 429), f"{header[:80]!r} was taken at {path}"


@pytest.mark.parametrize("place", ["query", "cookie", "body", "other header"])
def test_a_token_is_taken_from_its_header_alone(acme: Tenant, place: str) -> None:
    good = factories.agent_token(acme)
    leave_tenant()
    client = Client()
    path, headers = "/api/v1/agents", {}
    if place == "query":
        path += f"?access_token={good}&token={good}&Authorization=Bearer%20{good}"
    elif place == "cookie":
        headers["Cookie"] = f"token={good}; Authorization=Bearer {good}"
    elif place == "other header":
        headers |= {
            "X-Authorization": f"Bearer {good}",
            "X-Api-Key": good,
            "Proxy-Authorization": f"Bearer {good}",
        }
    answer = client.generic(
        "GET", path, json.dumps({"token": good}), "application/json", headers=headers
    )
    assert answer.status_code == 401


@pytest.mark.parametrize(
    "why", ["expired", "revoked", "left", "closed", "another tenant's", "session of a member"]
)
def test_what_was_good_once_is_not_accepted(acme: Tenant, umbra: Tenant, why: str) -> None:
    vera = factories.member(acme, "vera", "viewer")
    token = factories.person_token(acme, vera)
    story = factories.report().incident.id
    leave_tenant()
    client = Client()
    with tenant_scope(acme.id):
        match why:
            case "expired":
                ApiToken.objects.update(expires_at=timezone.now() - timedelta(seconds=1))
            case "revoked":
                tokens.revoke(ApiToken.objects.get(), actor=COMMAND, reason="lost")
            case "left":
                Membership.objects.filter(user=vera).delete()
            case "closed":
                User.objects.filter(pk=vera.pk).update(is_active=False)
    if why == "another tenant's":
        token = factories.person_token(umbra, factories.member(umbra, "uwe", "admin"))
        answer = client.get(
            f"/api/v1/incidents/{story}", headers={"Authorization": f"Bearer {token}"}
        )
        assert answer.status_code == 404
        return
    headers = {"Authorization": f"Bearer {token}"}
    if why == "session of a member":
        client.force_login(vera)
        headers = {}
    for path in ("/api/v1/agents", f"/api/v1/integration/loop/{story}/stream"):
        assert client.get(path, headers=headers).status_code == 401
