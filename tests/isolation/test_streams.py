"""Every stream, over a real ASGI server, while both tenants are at work: nothing of umbra comes along."""

from __future__ import annotations

import asyncio
import socket
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass

import httpx
import pytest
import uvicorn
from django.core.handlers.asgi import ASGIHandler
from django.db import connections
from django.test import Client

from config.isolation import STREAMS, Route, routes
from governance.actors import COMMAND
from governance.database.tenancy import tenant_scope
from governance.models import LoopEvent, Role
from governance.story import live, places
from governance.story.events import tell

from .crawl import PRINCIPALS, stay_ready
from .probes import filled_in, own_value, parameters
from .words import ids_in, made_up_like, unwrapped
from .world import ANONYMOUS, SERVER, Side, World

PATIENCE_SECONDS = 30.0
PEOPLE = (*(role.value for role in Role), SERVER)


@pytest.fixture(scope="module")
def site(both: World) -> Iterator[str]:
    """The site's address, served by uvicorn in a thread, with the live channel on its loop as ``serve`` has it."""
    listener = socket.create_server(("127.0.0.1", 0), backlog=128)
    config = uvicorn.Config(
        ASGIHandler(), lifespan="off", log_level="critical", timeout_graceful_shutdown=1
    )
    server = uvicorn.Server(config)

    async def serve() -> None:
        live.use_loop(asyncio.get_running_loop())
        await server.serve(sockets=[listener])

    with pytest.MonkeyPatch.context() as patch:
        # Each look has a thread of its own here, and there is no pool to give its connection back to.
        patch.setitem(connections.settings["default"], "CONN_MAX_AGE", 0)
        thread = threading.Thread(target=lambda: asyncio.run(serve()), daemon=True)
        thread.start()
        yield f"http://127.0.0.1:{listener.getsockname()[1]}"
        live.use_loop(None)
        server.should_exit = True
        thread.join(10)


@dataclass(frozen=True)
class Follower:
    """One who follows one stream."""

    principal: str
    path: str
    headers: dict[str, str]

    def open(self, site: str, **more: str) -> tuple[int, str]:
        """Status and body of a stream that is turned away."""
        answer = httpx.get(site + self.path, headers=self.headers | more, timeout=PATIENCE_SECONDS)
        return answer.status_code, answer.text

    def follow(self, site: str, until: str, opened: threading.Semaphore) -> str:
        """What came until a word was in it, or the patience was over."""
        text, ends = "", time.monotonic() + PATIENCE_SECONDS
        with (
            suppress(httpx.ReadTimeout),
            httpx.stream("GET", site + self.path, headers=self.headers, timeout=5.0) as answer,
        ):
            assert answer.status_code == 200, (self, answer.status_code)
            text = str(answer.headers)
            opened.release()
            for piece in answer.iter_text():
                text += piece
                if until in text or time.monotonic() > ends:
                    break
        return text


def followers(side: Side, of: Side) -> Iterator[Follower]:
    """Everybody of one side, at every stream of the other's records; streams of a whole tenant are one's own."""
    for route in routes():
        if route.is_stream:
            for path in _addresses(route, of):
                for principal, headers in _let_in(route, side):
                    yield Follower(principal, path, headers)


def _addresses(route: Route, of: Side) -> Iterator[str]:
    params = parameters(route.address)
    several = next(
        ((name, allowed.split("|")) for name, allowed in params.items() if "|" in allowed), None
    )
    own = {name: own_value(name, allowed, of) for name, allowed in params.items()}
    if several is None:
        yield filled_in(route.address, own)
    else:
        yield from (filled_in(route.address, own | {several[0]: each}) for each in several[1])


def _let_in(route: Route, side: Side) -> Iterator[tuple[str, dict[str, str]]]:
    if route.address.startswith("api/"):
        for principal in PRINCIPALS[1:]:
            yield principal, {"Authorization": f"Bearer {side.tokens[principal]}"}
        return
    for principal in PEOPLE:
        client = Client()
        client.force_login(side.people[principal])
        yield principal, {"Cookie": f"sessionid={client.cookies['sessionid'].value}"}


def happens(side: Side, word: str) -> None:
    """Something in one tenant's first story, told with this word."""
    with tenant_scope(side.tenant.id):
        story = LoopEvent.objects.filter(trace__incident_id=side.id_of("incidents.Incident"))
        trace_id = story.values_list("trace", flat=True)[0]
        tell(trace_id, "policy_born", f"{word} was born", actor=COMMAND)


def test_who_follows_is_told_of_their_own_tenant_only(both: World, site: str) -> None:
    stay_ready()
    own = list(followers(both.acme, both.acme))
    assert {route.name for route in routes() if route.is_stream} == STREAMS.keys()
    opened = threading.Semaphore(0)
    with ThreadPoolExecutor(len(own)) as pool:
        last = both.acme.words()
        following = [pool.submit(each.follow, site, last, opened) for each in own]
        for _ in own:
            assert opened.acquire(timeout=PATIENCE_SECONDS)
        for _ in range(3):
            happens(both.umbra, both.umbra.words())
            happens(both.acme, both.acme.words())
        happens(both.acme, last)
        texts = [unwrapped(each.result()) for each in following]
    for follower, text in zip(own, texts, strict=True):
        assert not both.umbra.words.found_in(text), follower
        assert not ids_in(text) & both.umbra.every_id, follower
        assert "data: " in text, follower
        # Counts, queues and states say no words; whoever follows a story has seen the last one.
        assert last in text or not ids_in(follower.path), follower


def test_another_tenants_story_is_no_story(both: World, site: str) -> None:
    stay_ready()
    with tenant_scope(both.umbra.tenant.id):
        event = LoopEvent.objects.earliest("seq")
        newest = places.shown(event.tenant_id, event.seq)
    strangers = [Follower(ANONYMOUS, each.path, {}) for each in followers(both.acme, both.umbra)]
    for follower in followers(both.acme, both.umbra):
        foreign = next(iter(ids_in(follower.path)), "")
        if not foreign:
            continue  # the stream of a tenant names nobody's record
        nobodys = Follower(
            follower.principal,
            follower.path.replace(foreign, made_up_like(foreign)),
            follower.headers,
        )
        for more in ({}, {"Last-Event-ID": newest}):
            status, text = follower.open(site, **more)
            assert (status, text) == nobodys.open(site, **more), follower
            assert status == 404
    for stranger in {each.path: each for each in strangers}.values():
        status, text = stranger.open(site)
        assert status in {401, 403}, stranger
        assert not both.umbra.words.found_in(text)
