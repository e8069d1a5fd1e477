"""The live stream of a loop: replay first, then events as they happen."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Coroutine
from typing import Any

import pytest
from asgiref.sync import sync_to_async
from django.db import connections
from django.test import AsyncClient

from governance.actors import COMMAND
from governance.database.tenancy import tenant_scope
from governance.models import Tenant
from governance.story import live
from governance.story.events import tell
from incidents.services import Opened
from tests import factories

pytestmark = pytest.mark.django_db(transaction=True)
PATIENCE_SECONDS = 20


@pytest.fixture
def tenant() -> Tenant:
    return factories.tenant("acme")


@pytest.fixture
def opened(tenant: Tenant) -> Opened:
    with tenant_scope(tenant.id):
        return factories.report()


def happen(tenant: Tenant, opened: Opened, headline: str) -> None:
    with tenant_scope(tenant.id):
        tell(opened.trace.id, "policy_born", headline, actor=COMMAND)


async def messages(body: AsyncIterator[bytes], count: int) -> list[dict[str, Any]]:
    """The next messages of a stream that carry something."""
    found: list[dict[str, Any]] = []
    async with asyncio.timeout(PATIENCE_SECONDS):
        while len(found) < count:
            text = (await anext(body)).decode()
            lines = dict(line.split(": ", 1) for line in text.strip().splitlines() if ": " in line)
            if lines.get("event") == "loop_progress":
                found.append({"id": lines["id"], **json.loads(lines["data"])})
    return found


async def follow(token: str, incident: str, **headers: str) -> Any:
    return await AsyncClient().get(
        f"/api/v1/integration/loop/{incident}/stream",
        headers={"Authorization": f"Bearer {token}", **headers},
    )


def play(story: Coroutine[Any, Any, None]) -> None:
    """Run it, and close what its threads opened: the test database is dropped afterwards."""

    async def whole() -> None:
        try:
            await story
        finally:
            await sync_to_async(connections.close_all)()

    asyncio.run(whole())


def test_a_stream_replays_and_then_follows(tenant: Tenant, opened: Opened) -> None:
    token = factories.agent_token(tenant)

    async def story() -> None:
        live.use_loop(asyncio.get_running_loop())
        try:
            response = await follow(token, opened.incident.id)
            assert response.status_code == 200
            assert response["Content-Type"] == "text/event-stream"
            body = aiter(response.streaming_content)
            (first,) = await messages(body, 1)
            assert first["event"]["type"] == "incident_created"
            assert first["incident_id"] == opened.incident.id

            await sync_to_async(happen)(tenant, opened, "born")
            (second,) = await messages(body, 1)
            assert second["event"]["headline"] == "born"
            await body.aclose()

            again = await follow(token, opened.incident.id, **{"Last-Event-ID": first["id"]})
            body = aiter(again.streaming_content)
            (replayed,) = await messages(body, 1)
            assert replayed["event"]["headline"] == "born"
            await body.aclose()
        finally:
            live.use_loop(None)

    play(story())


def test_an_outsider_and_a_stranger_are_turned_away(tenant: Tenant, opened: Opened) -> None:
    outsider = factories.agent_token(factories.tenant("umbra"))

    async def story() -> None:
        assert (await follow(outsider, opened.incident.id)).status_code == 404
        assert (await follow("abt_nothing", opened.incident.id)).status_code == 401

    play(story())
