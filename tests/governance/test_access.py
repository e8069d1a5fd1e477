"""Every route denies unless it declares who may call it; tokens and tenants decide the rest."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from datetime import timedelta
from typing import Any

import pytest
from django.urls import URLPattern, URLResolver, get_resolver
from django.utils import timezone
from rest_framework.permissions import AllowAny
from rest_framework.test import APIClient

from governance import tokens
from governance.access.matrix import LOOK_IN, Right
from governance.access.permissions import Declared
from governance.actors import COMMAND
from governance.database.tenancy import leave_tenant, tenant_scope
from governance.models import Account, ApiToken, Tenant
from tests import factories

Api = Callable[..., APIClient]

# What needs no token, and why; whatever else is open is a mistake.
OPEN = {"schema", "docs"}
# The stream looks at the token itself (it is no DRF view): tests/governance/test_streams.py.
OWN_AUTHENTICATION = {"loop-stream"}


def api_patterns(
    patterns: list[Any] | None = None, prefix: str = ""
) -> Iterator[tuple[str, URLPattern]]:
    for entry in get_resolver().url_patterns if patterns is None else patterns:
        address = prefix + str(entry.pattern)
        if isinstance(entry, URLResolver):
            yield from api_patterns(entry.url_patterns, address)
        elif address.lstrip("^").startswith("api/"):
            yield address, entry


def methods(view: Any) -> list[tuple[str, str]]:
    """(method, name under which access is declared) of a DRF view function."""
    if actions := getattr(view, "actions", None):
        return [(method, action) for method, action in actions.items() if method != "head"]
    return [
        (name, name)
        for name in ("get", "post", "put", "patch", "delete")
        if hasattr(view.cls, name)
    ]


def test_every_route_of_the_api_declares_who_may_call_it() -> None:
    seen = 0
    for address, pattern in api_patterns():
        if pattern.name in OWN_AUTHENTICATION:
            continue
        view: Any = pattern.callback
        assert hasattr(view, "cls"), f"{address} is not a view of the API"
        for method, name in methods(view):
            seen += 1
            who = getattr(view.cls, "access", {}).get(name)
            if pattern.name in OPEN:
                assert who in (LOOK_IN, None)
                continue
            assert view.cls.permission_classes == [Declared], address
            assert AllowAny not in view.cls.permission_classes
            assert isinstance(who, Right), f"{method} {address} does not declare who may call it"
            assert not who.public, f"{method} {address} is open to everybody"
            assert who.agents or who.role, f"{method} {address} is closed to everybody"
    assert seen > 50


def test_no_route_of_the_api_answers_without_a_token(db: None, api: Api) -> None:
    for address, pattern in api_patterns():
        if pattern.name in OPEN:
            continue
        path = "/" + concrete(address)
        for method, _ in (
            methods(pattern.callback) if hasattr(pattern.callback, "cls") else [("get", "get")]
        ):
            answer = getattr(api(), method)(path)
            assert answer.status_code == 401, f"{method} {path}: {answer.status_code}"
            assert answer.headers["WWW-Authenticate"].startswith("Bearer")


def concrete(address: str) -> str:
    """An address in which every variable is some text."""
    import re

    numbered = address.replace("(?P<project>[0-9]+)", "1")
    plain = re.sub(r"\(\?P<\w+>[^)]*\)", "x", numbered.replace("^", "").replace("$", ""))
    plain = re.sub(r"\\\.\(\?P<format>.*", "", plain)
    return plain.replace("/?", "").replace("\\Z", "").replace("\\", "")


@pytest.mark.parametrize("state", ["unknown", "expired", "revoked", "malformed", "left"])
def test_a_token_that_is_worth_nothing_is_refused(acme: Tenant, api: Api, state: str) -> None:
    token = factories.person_token(acme, factories.member(acme, "otto", "viewer"))
    match state:
        case "unknown":
            token = "abt_" + "x" * 43
        case "expired":
            ApiToken.objects.update(expires_at=timezone.now() - timedelta(days=1))
        case "revoked":
            tokens.revoke(ApiToken.objects.get(), actor=COMMAND, reason="lost")
        case "malformed":
            token = "a b c"
        case "left":
            factories.member(acme, "otto", "viewer").memberships.all().delete()
    leave_tenant()
    assert api(token).get("/api/v1/agents").status_code == 401


def test_only_the_hash_of_a_token_is_kept(acme: Tenant) -> None:
    account = Account.objects.create(name="scout")
    secret = tokens.make_token(name="scout", account=account)
    kept = ApiToken.objects.values().get()
    assert secret not in str(kept)
    assert secret.startswith(kept["prefix"])
    assert kept["hash"] == tokens.fingerprint(secret)


def test_the_tenant_comes_from_the_token(acme: Tenant, umbra: Tenant, api: Api) -> None:
    factories.agent("scout")
    mine, theirs = factories.agent_token(acme), None
    leave_tenant()
    theirs = factories.agent_token(umbra)
    assert [row["agent_id"] for row in api(mine).get("/api/v1/agents").json()["results"]] == [
        "scout"
    ]
    outsider = api(theirs)
    for header in ({"HTTP_X_TENANT": acme.slug}, {"HTTP_TENANT_ID": acme.id}):
        assert outsider.get("/api/v1/agents", **header).json()["results"] == []


def test_a_foreign_id_is_404_whatever_the_role_and_a_wrong_role_403(
    acme: Tenant, umbra: Tenant, api: Api
) -> None:
    from governance import checkpoints
    from governance.actors import LOOP

    asked = checkpoints.ask("simulate_routing", subject="x", title="?", shown={}, requested_by=LOOP)
    agent = factories.agent_token(acme)
    viewer = factories.person_token(acme, factories.member(acme, "vera", "viewer"))
    leave_tenant()
    outsider = factories.person_token(umbra, factories.member(umbra, "uwe", "admin"))
    path = f"/api/v1/checkpoints/{asked.id}/approve"
    body = {"digest": asked.digest}
    assert api(outsider).post(path, body).status_code == 404
    assert api(agent).post(path, body).status_code == 403
    assert api(viewer).post(path, body).status_code == 403
    assert api(agent).post("/api/v1/checkpoints/chk_nothing/approve", body).status_code == 404


def test_a_used_token_knows_when(acme: Tenant, api: Api) -> None:
    token = factories.agent_token(acme)
    leave_tenant()
    api(token).get("/api/v1/agents")
    with tenant_scope(acme.id):
        first = ApiToken.objects.get().last_used_at
    api(token).get("/api/v1/agents")
    with tenant_scope(acme.id):
        assert ApiToken.objects.get().last_used_at == first is not None
