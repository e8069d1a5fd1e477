"""Sentry's own client, pointed here by its DSN."""

from __future__ import annotations

import gzip
import io
import json
import zlib
from collections.abc import Callable
from functools import partial
from typing import Any

import brotli
import httpx
import pytest
import sentry_sdk
from django.core.management import CommandError, call_command

from governance.database.tenancy import leave_tenant, tenant_scope
from governance.models import Tenant
from incidents.models import Incident
from tests import factories

from .conftest import Served

EVENT = {"event_id": "a" * 32, "level": "error", "message": "boom"}


def client(dsn: str, **options: Any) -> sentry_sdk.Client:
    return sentry_sdk.Client(
        dsn, default_integrations=False, auto_session_tracking=False, **options
    )


def envelope(*items: tuple[dict[str, Any], bytes]) -> bytes:
    lines = [b"{}"]
    for header, payload in items:
        lines += [json.dumps(header).encode(), payload]
    return b"\n".join(lines)


@pytest.mark.parametrize("algorithm", ["br", "gzip"])
def test_an_exception_becomes_an_incident_with_its_stack(
    served: Served, only: Callable[[], Incident], algorithm: str
) -> None:
    packed: Any = {"transport_compression_algo": algorithm}
    sending = client(served.dsn, release="shop@7", environment="test", _experiments=packed)
    with sentry_sdk.new_scope() as scope:
        scope.set_client(sending)
        scope.set_tag("agent_id", "scout")
        scope.set_context("tool", {"name": "sql_query", "arguments": {"q": "SELECT 1"}})
        scope.add_attachment(bytes=bytes(1_500_000), filename="screen.png")
        event_id: str | None = None
        try:
            try:
                EVENT["custmer_id"]
            except KeyError as error:
                raise RuntimeError("no such column") from error
        except RuntimeError as error:
            event_id = scope.capture_exception(error)
    sending.close(timeout=20)

    incident = only()
    assert (incident.error_type, incident.message) == ("RuntimeError", "no such column")
    assert (incident.agent.name, incident.tool) == ("scout", "sql_query")
    assert incident.arguments == {"q": "SELECT 1"}
    assert (incident.source, incident.source_key, incident.severity) == ("sentry", event_id, "high")
    chain = incident.context["exception"]["values"]
    assert [each["type"] for each in chain] == ["KeyError", "RuntimeError"]
    assert chain[-1]["stacktrace"]["frames"]
    assert incident.context["release"] == "shop@7"


def test_what_is_no_failure_is_let_go(served: Served) -> None:
    sending = client(served.dsn, traces_sample_rate=1.0)
    with sentry_sdk.isolation_scope() as scope:
        scope.set_client(sending)
        scope.capture_message("all is well", level="info")
        with sentry_sdk.start_transaction(name="walk"):
            pass
    sending.close(timeout=20)
    assert served.incidents() == []


def test_the_same_event_is_the_same_incident_at_both_doors(
    served: Served, only: Callable[[], Incident]
) -> None:
    body = json.dumps(EVENT).encode()
    auth = {"X-Sentry-Auth": f"Sentry sentry_version=7, sentry_key={served.token}"}
    address = f"http://{served.host}/api/1"
    taken = [
        httpx.post(f"{address}/envelope/", content=envelope(({"type": "event", "length": len(body)}, body)), headers=auth),
        httpx.post(f"{address}/store/?sentry_key={served.token}", content=gzip.compress(body), headers={"Content-Encoding": "gzip"}),
    ]  # fmt: skip
    assert [(each.status_code, each.json()) for each in taken] == [(200, {"id": "a" * 32})] * 2
    assert (only().reported, only().agent.name) == (2, "shop")  # type: ignore[attr-defined]


@pytest.mark.parametrize(
    ("body", "status"),
    [
        (b"", 400),
        (b"{}\n[]\n{}", 400),
        (b'{}\n{"type":"event","length":99}\n{}', 400),
        (envelope(({"type": "event"}, b"{")), 400),
        (envelope(({"type": "event"}, b'{"message":"\\u0000"}')), 400),
        (envelope(({"type": "event"}, b'{"event_id":"x"}')), 400),
        (envelope(({"type": "event"}, b'{"timestamp":"soon"}')), 400),
        (envelope(({"type": "event"}, b'{"a":' * 40 + b"1" + b"}" * 40)), 400),
        (envelope(({"type": "event"}, b'"' + b"x" * 1_100_000 + b'"')), 413),
        (b"x" * 10_485_761, 413),
    ],
)
def test_bad_envelopes_are_refused_in_sentrys_words(
    acme: Any, api: Any, body: bytes, status: int
) -> None:
    token = factories.agent_token(acme)
    answer = api().generic(
        "POST", f"/api/1/envelope/?sentry_key={token}", body, "application/x-sentry-envelope"
    )
    assert answer.status_code == status
    assert answer.json().keys() == {"detail", "causes"}


@pytest.mark.parametrize(
    ("encoding", "pack"),
    [
        ("gzip", gzip.compress),
        ("deflate", zlib.compress),
        ("br", partial(brotli.compress, quality=1)),
    ],
)
def test_a_bomb_is_given_up_where_it_passes_the_limit(
    acme: Any, api: Any, encoding: str, pack: Callable[[bytes], bytes]
) -> None:
    token = factories.agent_token(acme)
    bomb = pack(bytes(200_000_000))
    answer = api().generic(
        "POST", f"/api/1/envelope/?sentry_key={token}", bomb, HTTP_CONTENT_ENCODING=encoding
    )
    assert len(bomb) < 250_000
    assert (answer.status_code, "10485760" in answer.json()["detail"]) == (413, True)


def test_a_body_of_very_many_gzip_members_is_not_unpacked(acme: Any, api: Any) -> None:
    """Each is copied around what comes after it: half a million would cost minutes."""
    token = factories.agent_token(acme)
    address = f"/api/1/envelope/?sentry_key={token}"

    def send(members: int) -> Any:
        body = gzip.compress(b"") * members + gzip.compress(b"{}")
        return api().generic("POST", address, body, HTTP_CONTENT_ENCODING="gzip")

    assert send(9).status_code == 200
    refused = send(500_000)
    assert (refused.status_code, "100 members" in refused.json()["detail"]) == (400, True)


def test_an_event_is_of_the_tenant_whose_key_it_came_with(
    served: Served, umbra: Any, only: Callable[[], Incident]
) -> None:
    """The very same event, id and all, at two tenants: each has its own, and neither counts the other's."""
    others = factories.agent_token(umbra)
    leave_tenant()
    body = json.dumps(EVENT).encode()
    for token in (served.token, others, others):
        answer = httpx.post(f"http://{served.host}/api/1/store/?sentry_key={token}", content=body)
        assert answer.json() == {"id": "a" * 32}
    assert only().reported == 1  # type: ignore[attr-defined]
    with tenant_scope(umbra.id):
        assert Incident.objects.counted().get().reported == 2  # type: ignore[attr-defined]


@pytest.mark.parametrize("key", ["", "abt_wrong"])
def test_a_wrong_key_opens_nothing(db: None, api: Any, key: str) -> None:
    answer = api().generic("POST", f"/api/1/envelope/?sentry_key={key}", b"{}")
    assert (answer.status_code, "detail" in answer.json()) == (401, True)


def test_the_dsn_that_is_printed_is_one_that_sentrys_client_takes(
    served: Served, only: Callable[[], Incident]
) -> None:
    """Its client for JavaScript besides takes only letters, digits and underscores there."""
    said = io.StringIO()
    asked = ["--tenant", "acme", "--name", "cart", "--dsn", f"http://{served.host}/"]
    call_command("create_token", *asked, "--json", stdout=said)
    printed = json.loads(said.getvalue())
    assert printed["token"].isascii()
    assert printed["token"].replace("_", "").isalnum()
    sending = client(printed["dsn"])
    with sentry_sdk.isolation_scope() as scope:
        scope.set_client(sending)
        scope.capture_message("the cart is gone", level="error")
    sending.close(timeout=20)
    assert (only().agent.name, only().message) == ("cart", "the cart is gone")


@pytest.mark.parametrize("address", ["shop.example", "ftp://shop.example", "http://"])
def test_a_dsn_of_no_address_is_refused_before_a_token_is_made(db: None, address: str) -> None:
    with pytest.raises(CommandError, match="--dsn must be an address"):
        call_command("create_token", "--tenant", "acme", "--name", "cart", "--dsn", address)
    assert not Tenant.objects.exists()
