"""Open streams end when their reader may read no longer, also those that are never silent: over real sockets."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import timedelta

import httpx
import pytest
from django.contrib.sessions.backends.db import SessionStore
from django.contrib.sessions.models import Session
from django.db import connections
from django.test import Client
from django.utils import timezone

from governance import tenants, tokens
from governance.access import sessions
from governance.actors import COMMAND
from governance.api import streams as api_streams
from governance.database.tenancy import tenant_scope
from governance.models import ApiToken, Membership, Tenant, User
from governance.screens import streams as console_streams
from governance.story.events import tell
from incidents.services import Opened
from tests import factories
from tests.serving import Place, serving_asgi

pytestmark = pytest.mark.django_db(transaction=True)
CHECK_SECONDS = 0.3  # ten in the product: a test waits for what is due, and not longer
PATIENCE_SECONDS = 15


@pytest.fixture
def tenant(monkeypatch: pytest.MonkeyPatch) -> Tenant:
    monkeypatch.setattr(api_streams, "CHECK_SECONDS", CHECK_SECONDS)
    monkeypatch.setattr(console_streams, "BEAT_SECONDS", CHECK_SECONDS)
    return factories.tenant("acme")


@pytest.fixture
def opened(tenant: Tenant) -> Opened:
    with tenant_scope(tenant.id):
        return factories.report()


@pytest.fixture
def place(tenant: Tenant) -> Iterator[Place]:
    with serving_asgi() as found:
        yield found


@contextmanager
def never_silent(tenant: Tenant, opened: Opened) -> Iterator[None]:
    """Something happens in the story all the time."""
    over = threading.Event()

    def happen() -> None:
        try:
            while not over.wait(0.05):
                with tenant_scope(tenant.id):
                    tell(opened.trace.id, "policy_confirmed", "again", actor=COMMAND)
        finally:
            connections.close_all()

    thread = threading.Thread(target=happen)
    thread.start()
    try:
        yield
    finally:
        over.set()
        thread.join()


def ends(
    place: Place, path: str, headers: dict[str, str], then: Callable[[], object]
) -> tuple[float, str]:
    """Seconds from what happens after the first event of a stream to the stream's end, and all that it said."""
    said, happened_at = "", 0.0
    with (
        httpx.Client(base_url=f"http://{place[0]}:{place[1]}", timeout=PATIENCE_SECONDS) as client,
        client.stream("GET", path, headers=headers) as response,
    ):
        assert response.status_code == 200
        for text in response.iter_text():
            said += text
            if not happened_at and "event:" in said:
                then()
                happened_at = time.monotonic()
            assert not happened_at or time.monotonic() - happened_at < PATIENCE_SECONDS
    return time.monotonic() - happened_at, said


def revoke(tenant: Tenant) -> None:
    with tenant_scope(tenant.id):
        tokens.revoke(ApiToken.objects.get(), actor=COMMAND, reason="lost")


def expire(tenant: Tenant) -> None:
    with tenant_scope(tenant.id):
        ApiToken.objects.update(expires_at=timezone.now() - timedelta(seconds=1))


def leave(tenant: Tenant) -> None:
    Membership.objects.all().delete()


def close_account(tenant: Tenant) -> None:
    User.objects.update(is_active=False)


@pytest.mark.parametrize("why", [revoke, expire, leave, close_account])
def test_a_busy_stream_of_the_api_ends_with_its_token(
    tenant: Tenant, opened: Opened, place: Place, why: Callable[[Tenant], None]
) -> None:
    token = factories.person_token(tenant, factories.member(tenant, "vera", "viewer"))
    path = f"/api/v1/integration/loop/{opened.incident.id}/stream"
    with never_silent(tenant, opened):
        seconds, said = ends(place, path, {"Authorization": f"Bearer {token}"}, lambda: why(tenant))
    assert seconds < CHECK_SECONDS + 3.0
    assert said.count("event: loop_progress") >= 1


def sign_out(tenant: Tenant) -> None:
    Session.objects.all().delete()


def lower_the_role(tenant: Tenant) -> None:
    tenants.add_member(tenant, User.objects.get(username="olaf"), "viewer")


def grow_old(tenant: Tenant) -> None:
    store = SessionStore(Session.objects.get().session_key)
    store[sessions.BEGAN] -= 50_000
    store.save()


@pytest.mark.parametrize("why", [sign_out, lower_the_role, leave, close_account, grow_old])
@pytest.mark.parametrize("stream", ["streams/dashboard", "stories/{}/stream"])
def test_a_busy_stream_of_the_console_ends_with_its_session_or_role(
    tenant: Tenant, opened: Opened, place: Place, why: Callable[[Tenant], None], stream: str
) -> None:
    client = Client()
    client.force_login(factories.member(tenant, "olaf", "operator"))
    client.get("/console/")
    headers = {"Cookie": f"sessionid={client.cookies['sessionid'].value}"}
    path = f"/console/{stream.format(opened.incident.id)}"
    with never_silent(tenant, opened):
        seconds, said = ends(place, path, headers, lambda: why(tenant))
    assert seconds < CHECK_SECONDS + 3.0
    assert "event: bye" in said


def test_what_is_checked_in_the_product_is_within_half_a_minute() -> None:
    assert api_streams.CHECK_SECONDS + api_streams.POLL_SECONDS < 30
    assert console_streams.BEAT_SECONDS + console_streams.POLL_SECONDS < 30
