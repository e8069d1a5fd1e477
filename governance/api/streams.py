"""The live stream of one loop: what happened so far, then everything as it happens.

Events are read from the database; the live channel only says when to look. Commit order is not the order of
``seq``, so each look goes a little back and leaves out what was sent already.
"""

from __future__ import annotations

import asyncio
import json
import logging
from collections.abc import AsyncIterator
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any

from asgiref.sync import sync_to_async
from channels.layers import get_channel_layer
from django.core.serializers.json import DjangoJSONEncoder
from django.db import transaction
from django.db.models import Q
from django.db.models.functions import Now
from django.http import HttpRequest, HttpResponseBase, StreamingHttpResponse

from ..access import problems
from ..access.authentication import identify, secret_in
from ..access.matrix import READ
from ..access.permissions import opened_by
from ..database.tenancy import tenant_scope
from ..models import LoopEvent
from ..story import live, places
from ..story.progress import progress
from ..story.timeline import NoStory, entry, newest_trace

log = logging.getLogger("antibody.live")

POLL_SECONDS = 1.0
# However much there is to tell: a token that was revoked is refused within half a minute.
CHECK_SECONDS = 10.0
LONGEST_SECONDS = 600.0
# How far behind the newest event another transaction may still be about to commit one.
LOOK_BACK = timedelta(seconds=10)


@dataclass(slots=True)
class Follower:
    """One open stream: whose, of which story, and what it was sent."""

    secret: str
    tenant_id: str
    incident_id: str
    trace_id: str
    last_seq: int = 0
    sent: set[int] = field(default_factory=set)
    checked_at: float = 0.0

    def look(self) -> tuple[list[LoopEvent], dict[str, Any]]:
        """The events that were not sent yet, and where the loop is now."""
        with tenant_scope(self.tenant_id):
            trace = newest_trace(self.incident_id)
            events = LoopEvent.objects.filter(trace__incident_id=self.incident_id).filter(
                Q(seq__gt=self.last_seq) | Q(created_at__gt=Now() - LOOK_BACK)
            )
            fresh = [event for event in events if event.seq not in self.sent]
            return fresh, progress(trace)

    async def is_turned_away(self, now: float) -> bool:
        """Whether the token has lost its worth; asked every ten seconds, however much there is to tell."""
        if now - self.checked_at <= CHECK_SECONDS:
            return False
        self.checked_at = now
        return not await sync_to_async(self.may_go_on)()

    def may_go_on(self) -> bool:
        """Whether the token is still worth something, and may still read."""
        found = identify(self.secret)
        return found is not None and found[0].has(READ)


@opened_by(READ)
@transaction.non_atomic_requests
async def loop_stream(request: HttpRequest, incident: str) -> HttpResponseBase:
    """``text/event-stream`` of ``loop_progress`` events; Last-Event-ID replays what came after it."""
    follower = await sync_to_async(_follower)(request, incident)
    if isinstance(follower, HttpResponseBase):
        return follower
    response = StreamingHttpResponse(_stream(follower), content_type="text/event-stream")
    response["Cache-Control"] = "no-store"
    response["X-Accel-Buffering"] = "no"
    return response


def _follower(request: HttpRequest, incident: str) -> Follower | HttpResponseBase:
    if request.method != "GET":
        return problems.refuse(request, 405, "method_not_allowed", "A stream can only be read.")
    secret = secret_in(request.headers.get("Authorization", ""))
    found = identify(secret) if secret else None
    if found is None:
        response = problems.refuse(
            request, 401, "not_authenticated", "A stream needs a token in the Authorization header."
        )
        response["WWW-Authenticate"] = 'Bearer realm="antibody"'
        return response
    principal, _ = found
    if not principal.has(READ):
        return problems.refuse(request, 403, "forbidden", "You may not do this.")
    try:
        with tenant_scope(principal.tenant_id):
            trace = newest_trace(incident)
    except NoStory:
        return problems.refuse(request, 404, "not_found", "There is no such thing here.")
    last_seq = places.number_of(principal.tenant_id, request.headers.get("Last-Event-ID", ""))
    follower = Follower(secret, principal.tenant_id, incident, trace.id, last_seq)
    if last_seq:
        with tenant_scope(principal.tenant_id):
            known = LoopEvent.objects.filter(trace__incident_id=incident, seq__lte=last_seq)
            follower.sent = set(known.values_list("seq", flat=True))
    return follower


async def _stream(follower: Follower) -> AsyncIterator[bytes]:
    live.use_loop(asyncio.get_running_loop())
    moved = asyncio.Event()
    listener = asyncio.create_task(_listen(live.group_of_trace(follower.trace_id), moved))
    clock = asyncio.get_running_loop().time
    started = spoken = follower.checked_at = clock()
    try:
        yield b"retry: 1000\n\n"
        while clock() - started < LONGEST_SECONDS:
            moved.clear()
            events, state = await sync_to_async(follower.look)()
            for event in events:
                # A client that reads slowly may be at these for long.
                if await follower.is_turned_away(clock()):
                    return
                follower.sent.add(event.seq)
                follower.last_seq = max(follower.last_seq, event.seq)
                yield _message(event, state)
            if await follower.is_turned_away(clock()):
                return
            if clock() - spoken > CHECK_SECONDS:
                yield b": still here\n\n"
                spoken = clock()
            with suppress(asyncio.TimeoutError):
                await asyncio.wait_for(moved.wait(), POLL_SECONDS)
    finally:
        listener.cancel()
        # It says good-bye to the channel, which may be silent.
        await asyncio.wait({listener}, timeout=POLL_SECONDS)


async def _listen(group: str, moved: asyncio.Event) -> None:
    """Set ``moved`` whenever the live channel says that the story has. While the channel is away the poll must do.

    A task of its own: whatever the channel does, or does not answer, the stream goes on without it.
    """
    layer = get_channel_layer()
    while True:
        try:
            channel = await layer.new_channel()
            await layer.group_add(group, channel)
            try:
                while True:
                    await layer.receive(channel)
                    moved.set()
            finally:
                await layer.group_discard(group, channel)
        except Exception as error:  # noqa: BLE001 - losing the channel costs a second, never an event
            log.warning("the live channel is away: %s", error)
            await asyncio.sleep(POLL_SECONDS)


def _message(event: LoopEvent, state: dict[str, Any]) -> bytes:
    body = json.dumps({**state, "event": entry(event)}, cls=DjangoJSONEncoder)
    place = places.shown(event.tenant_id, event.seq)
    return f"id: {place}\nevent: loop_progress\ndata: {body}\n\n".encode()
