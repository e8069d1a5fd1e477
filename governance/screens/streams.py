"""Live streams: one open page each, server-sent events, from an ASGI server.

A stream is woken by the live channel and looks by itself once a second, so that a lost message costs a second. It
holds no thread and no connection between two looks: each is one short transaction in the tenant's scope.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from functools import partial

from asgiref.sync import sync_to_async
from channels.layers import get_channel_layer
from django.db import connection, transaction
from django.http import HttpRequest, HttpResponse, HttpResponseBase, StreamingHttpResponse

from ..access import sessions
from ..access.matrix import READ
from ..access.middleware import SESSION_KEY
from ..access.permissions import opened_by
from ..database.tenancy import tenant_scope
from ..models import LoopTrace, Membership
from ..story import live, places
from ..story.live import group_of_tenant, group_of_trace
from . import feeds
from .people import may

log = logging.getLogger("antibody.streams")

POLL_SECONDS = 1.0
BEAT_SECONDS = 10.0
"""So often it is asked whether the page may still be followed, however much there is to tell."""
LONGEST_SECONDS = 600.0
PAUSE_SECONDS = 0.05
"""Between two looks, so that a burst of events is read in few of them."""

Wake = Callable[[], Awaitable[None]]


@opened_by(READ)
@transaction.non_atomic_requests
async def story(request: HttpRequest, incident_id: str) -> HttpResponseBase:
    """Follow one incident."""
    membership = request.membership  # type: ignore[attr-defined]
    if not may(membership, READ):
        return HttpResponse("Sign in first.", status=403)
    trace_id = await _look(partial(_newest_trace, membership.tenant_id, incident_id))
    if trace_id is None:
        return HttpResponse("There is no such incident.", status=404)
    return _follow(request, membership, group_of_trace(trace_id), feeds.story(incident_id))


@opened_by(READ)
@transaction.non_atomic_requests
async def tenant(request: HttpRequest, what: str) -> HttpResponseBase:
    """Follow the tenant: what is dashboard, loops, timeline, checkpoints, operations or state."""
    membership = request.membership  # type: ignore[attr-defined]
    if not may(membership, READ):
        return HttpResponse("Sign in first.", status=403)
    reads: dict[str, feeds.Read] = {
        "dashboard": feeds.dashboard,
        "loops": feeds.loops,
        "checkpoints": feeds.checkpoints,
        "operations": feeds.operations,
        "state": feeds.nothing,
        "timeline": feeds.timeline(
            request.GET.get("type", ""), milestones=bool(request.GET.get("milestones"))
        ),
    }
    return _follow(request, membership, group_of_tenant(membership.tenant_id), reads[what])


def _follow(
    request: HttpRequest, membership: Membership, group: str, read: feeds.Read
) -> StreamingHttpResponse:
    seen = feeds.Seen(_after(request, membership.tenant_id))
    messages = _messages(
        partial(_read, membership, read, seen),
        partial(still_in, request, membership),
        group,
        seen,
        membership.tenant_id,
    )
    response = StreamingHttpResponse(messages, content_type="text/event-stream")
    response["Cache-Control"] = "no-store"
    response["X-Accel-Buffering"] = "no"
    return response


def _after(request: HttpRequest, tenant_id: str) -> int:
    """The number of the last event that the page has: a reconnecting browser says its place by itself."""
    said = request.headers.get("Last-Event-ID") or request.GET.get("after", "")
    return places.number_of(tenant_id, said)


async def _messages(
    read: Callable[[], list[str]],
    still_in: Callable[[], bool],
    group: str,
    seen: feeds.Seen,
    tenant_id: str,
) -> AsyncIterator[bytes]:
    live.use_loop(asyncio.get_running_loop())
    clock = asyncio.get_running_loop().time
    ends, beat = clock() + LONGEST_SECONDS, clock() + BEAT_SECONDS
    yield b"retry: 1000\n\n"
    async with _woken_by(group) as wake:
        while clock() < ends:
            if fragments := await _look(read):
                yield message(fragments, places.shown(tenant_id, seen.after))
            if clock() >= beat:
                beat = clock() + BEAT_SECONDS
                if not await _look(still_in):
                    yield b"event: bye\ndata: signed out\n\n"
                    return
                yield b": still here\n\n"
            await asyncio.sleep(PAUSE_SECONDS)
            await wake()


def message(fragments: list[str], last: str) -> bytes:
    """Fragments as one event, its id the place that a reconnecting browser goes on from."""
    lines = "".join(f"data: {line}\n" for line in "\n".join(fragments).splitlines() if line.strip())
    return f"id: {last}\nevent: patch\n{lines}\n".encode()


@asynccontextmanager
async def _woken_by(group: str) -> AsyncIterator[Wake]:
    """A function that waits until something happens in the group, or until it is time to look anyway."""
    layer = get_channel_layer()
    try:
        channel = await layer.new_channel()
        await layer.group_add(group, channel)
    except Exception as error:  # noqa: BLE001 - without a live channel the poll is enough
        log.warning("no live channel, polling: %s", error)
        yield partial(asyncio.sleep, POLL_SECONDS)
        return

    async def wake() -> None:
        try:
            await asyncio.wait_for(layer.receive(channel), POLL_SECONDS)
        except TimeoutError:
            return
        except Exception as error:  # noqa: BLE001 - as above
            log.warning("the live channel failed, polling: %s", error)
            await asyncio.sleep(POLL_SECONDS)

    try:
        yield wake
    finally:
        try:
            await layer.group_discard(group, channel)
        except Exception as error:  # noqa: BLE001 - the channel expires by itself
            log.debug("could not leave %s: %s", group, error)


# Any thread will do, and none is kept while the page is idle.
_look = sync_to_async(lambda work: work(), thread_sensitive=False)


def _read(membership: Membership, read: feeds.Read, seen: feeds.Seen) -> list[str]:
    try:
        with tenant_scope(membership.tenant_id):
            return [*feeds.state(seen, membership), *read(seen, membership)]
    finally:
        connection.close()


def _newest_trace(tenant_id: str, incident_id: str) -> str | None:
    try:
        with tenant_scope(tenant_id):
            found = LoopTrace.objects.filter(incident_id=incident_id.replace("\x00", "")).order_by(
                "-generation"
            )
            return found.values_list("id", flat=True).first()
    finally:
        connection.close()


def still_in(request: HttpRequest, membership: Membership) -> bool:
    """Whether the session lives and the person still has the same role in the tenant that is shown."""
    try:
        key = request.session.session_key or ""
        store = type(request.session)(key)
        own = Membership.objects.filter(
            pk=membership.pk, role=membership.role, user__is_active=True
        )
        chosen = store.get(SESSION_KEY)
        if sessions.is_over(store):
            return False
        return store.exists(key) and own.exists() and chosen in (None, membership.tenant_id)
    finally:
        connection.close()
