"""The live channel: tells open pages that a story has moved. They read what happened from the database.

Losing a message only means that a page hears of it at its next poll, a second later.
"""

from __future__ import annotations

import asyncio
import logging
import threading
from collections.abc import Iterable
from functools import cache

from channels.layers import InMemoryChannelLayer, get_channel_layer
from django.db import transaction

log = logging.getLogger("antibody.live")

MOST_UNDER_WAY = 1_000

_server_loop: asyncio.AbstractEventLoop | None = None
_under_way = threading.Semaphore(MOST_UNDER_WAY)


def use_loop(loop: asyncio.AbstractEventLoop | None) -> None:
    """Send from the server's own event loop: into an idle in-memory layer, sending from elsewhere came 2-6 s late."""
    global _server_loop  # noqa: PLW0603 - one process has one server loop
    _server_loop = loop


def group_of_trace(trace_id: str) -> str:
    """The channel group of whoever follows one story."""
    return f"trace.{trace_id}"


def group_of_tenant(tenant_id: str) -> str:
    """The channel group of whoever follows everything of a tenant."""
    return f"tenant.{tenant_id}"


def publish_after_commit(tenant_id: str, trace_ids: Iterable[str]) -> None:
    """Tell the followers of these traces, and of the tenant, once the transaction has committed."""
    groups = [group_of_tenant(tenant_id), *(group_of_trace(trace_id) for trace_id in trace_ids)]
    transaction.on_commit(lambda: publish(groups), robust=True)


def publish(groups: Iterable[str]) -> None:
    """Wake the followers of these groups; never waits and never fails."""
    if _server_loop is None and isinstance(get_channel_layer(), InMemoryChannelLayer):
        return  # it reaches no other process, and in this one nobody has opened a page
    if not _under_way.acquire(blocking=False):
        return
    message = _send(list(groups))
    try:
        asyncio.run_coroutine_threadsafe(message, _server_loop or _own_loop())
    except RuntimeError:  # the loop has ended
        message.close()
        _under_way.release()


async def _send(groups: list[str]) -> None:
    try:
        layer = get_channel_layer()
        if layer is not None:
            for group in groups:
                await layer.group_send(group, {"type": "story.moved"})
    except Exception as error:  # noqa: BLE001 - a lost live message is made up for by the page's poll
        log.warning("the live channel took no message: %s", error)
    finally:
        _under_way.release()


@cache
def _own_loop() -> asyncio.AbstractEventLoop:
    loop = asyncio.new_event_loop()
    threading.Thread(target=loop.run_forever, name="live channel", daemon=True).start()
    return loop
