"""The security headers are on every answer: each route of each kind, streams, static files, and every way to refuse."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import httpx
import pytest
from django.test import Client

from config.doors import doors, readable
from config.isolation import STREAMS, routes
from governance import readiness
from governance.database.tenancy import leave_tenant
from governance.models import Tenant
from tests import factories
from tests.serving import sent, serving_asgi

YEAR_SECONDS = 31_536_000
ALWAYS = {
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
    "Referrer-Policy": "same-origin",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
}


def lacks(headers: Mapping[str, str]) -> list[str]:
    """What an answer should have said and did not."""
    found = [f"{name}: {headers.get(name)}" for name, value in ALWAYS.items() if headers.get(name) != value]  # fmt: skip
    policy = headers.get("Content-Security-Policy", "")
    found += [f"CSP without {part}" for part in ("default-src", "frame-ancestors 'none'", "base-uri 'none'", "form-action") if part not in policy]  # fmt: skip
    return found + (["CSP with *"] if "*" in policy else [])


def address_of(route_or_door: Any) -> str:
    address = "/" + readable(route_or_door.address).lstrip("/")
    for place in ("<path:object_id>", "<slug:verb>", "<str:", "<int:"):
        address = address.replace(place, "x")
    return address.replace("{", "x").replace("}", "x").replace("<", "x").replace(">", "x")


@pytest.fixture
def page(acme: Tenant) -> Client:
    client = Client(raise_request_exception=False)
    client.force_login(factories.member(acme, "vera", "admin"))
    leave_tenant()
    return client


@pytest.fixture
def token(acme: Tenant) -> str:
    return f"Bearer {factories.person_token(acme, factories.member(acme, 'boss', 'admin'))}"


def test_every_route_and_method_answers_with_them(page: Client, token: str) -> None:
    leave_tenant()
    asked, wrong = 0, []
    for door in doors():
        if door.address.endswith("stream") or "/streams/" in door.address:
            continue
        headers = {"Authorization": token} if door.kind == "API" else {}
        answer = page.generic(door.method, address_of(door), "{}", "application/json", headers=headers)  # fmt: skip
        asked += 1
        wrong += [f"{door} {answer.status_code}: {each}" for each in lacks(answer.headers)]
    for route in routes():
        if not route.is_stream:
            answer = page.get(address_of(route))
            asked += 1
            wrong += [f"{route.name} {answer.status_code}: {each}" for each in lacks(answer.headers)]  # fmt: skip
    assert asked > 300
    assert not wrong, wrong[:20]


def test_only_admin_and_docs_are_looser(page: Client, token: str) -> None:
    def policy(address: str) -> str:
        return page.get(address, headers={"Authorization": token})["Content-Security-Policy"]

    assert "unsafe" not in policy("/console/")
    assert "unsafe" not in policy("/nowhere")
    for address in ("/api/v1/incidents", "/api/schema/", "/api/nowhere"):
        assert policy(address).startswith("default-src 'none'")
        assert "unsafe" not in policy(address)
    assert "unsafe" in policy("/admin/")
    assert "unsafe" in policy("/api/docs/")


def test_https_is_asked_for_wherever_there_is_tls(page: Client, token: str, settings: Any) -> None:
    assert "Strict-Transport-Security" not in page.get("/livez").headers
    settings.SECURE_HSTS_SECONDS, settings.SECURE_SSL_REDIRECT = YEAR_SECONDS, True
    settings.SECURE_HSTS_INCLUDE_SUBDOMAINS = True
    safe = Client()  # its middleware is made from the settings as they are now
    safe.cookies = page.cookies
    for address in (
        "/console/",
        "/admin/",
        "/api/v1/incidents",
        "/api/docs/",
        "/livez",
        "/nowhere",
    ):
        answer = safe.get(address, secure=True, headers={"Authorization": token})
        assert answer["Strict-Transport-Security"] == f"max-age={YEAR_SECONDS}; includeSubDomains", address  # fmt: skip
        moved = safe.get(address)
        assert (moved.status_code, moved["Location"]) == (301, f"https://testserver{address}")
        assert not lacks(moved.headers)


@pytest.mark.parametrize("address", ["/api/v1/incidents", "/console/"])
def test_every_refusal_has_them(page: Client, token: str, address: str, settings: Any) -> None:
    known = {"Authorization": token}
    refused = {
        400: page.get(f"{address}?x=%00", headers=known),
        404: page.get(f"{address.rstrip('/')}/no/where", headers=known),
        405: page.post("/api/schema/" if address.startswith("/api/") else address),
        413: page.post("/api/v1/incidents", b" " * 2_000_000, "application/json", headers=known),
        415: page.post("/api/v1/incidents", b"x", "text/plain", headers=known),
    }
    if address.startswith("/api/"):
        refused[401] = page.get(address)
    readiness.remember({"sweeper": readiness.Finding(readiness.Mark.FAILING, "start it")})
    refused[503] = page.post("/api/v1/guard/simulate", b"{}", "application/json", headers=known)
    settings.ROOT_URLCONF = "tests.config.failing"
    failing = Client(raise_request_exception=False)
    refused[500] = failing.get("/api/v1/fails" if address.startswith("/api/") else "/fails")
    for status, answer in refused.items():
        assert answer.status_code == status
        assert not lacks(answer.headers), status


@pytest.mark.django_db(transaction=True)
def test_streams_static_files_and_what_never_reaches_django_have_them() -> None:
    acme = factories.tenant("acme")
    vera = factories.member(acme, "vera", "admin")
    browser = Client()
    browser.force_login(vera)
    token = factories.person_token(acme, vera)
    from governance.database.tenancy import tenant_scope

    with tenant_scope(acme.id):
        incident = factories.report().incident.id
    addresses = {
        "loop-stream": f"/api/v1/integration/loop/{incident}/stream",
        "console:story_stream": f"/console/stories/{incident}/stream",
        "console:stream": "/console/streams/dashboard",
    }
    assert addresses.keys() == STREAMS.keys()
    cookies = {name: morsel.value for name, morsel in browser.cookies.items()}
    with serving_asgi() as (host, port), httpx.Client(base_url=f"http://{host}:{port}") as client:
        for name, address in addresses.items():
            headers = {"Authorization": f"Bearer {token}"} if name == "loop-stream" else {}
            with client.stream("GET", address, headers=headers, cookies=cookies) as answer:
                assert answer.status_code == 200, name
                assert answer.headers["Content-Type"].startswith("text/event-stream")
                assert not lacks(answer.headers), name
        assert not lacks(client.get("/static/console.css").headers)
        large = (
            b"POST /api/v1/incidents HTTP/1.1\r\nHost: localhost\r\nContent-Length: 2000000\r\n\r\n"
        )
        head = sent((host, port), large).decode().partition("\r\n\r\n")[0]
        assert head.startswith("HTTP/1.1 413")
        lines = [line.partition(": ") for line in head.splitlines()[1:]]
        assert not lacks(httpx.Headers([(name, value) for name, _, value in lines]))
