"""Real servers in front of the site: gunicorn as a process, uvicorn in a thread; and requests byte by byte."""

from __future__ import annotations

import asyncio
import os
import socket
import ssl
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import httpx
import pytest
import uvicorn
from django.conf import settings
from django.core.handlers.asgi import ASGIHandler
from django.db import connection, connections
from servestatic import ServeStaticASGI

from config.intake import strict_asgi
from config.statics import with_static
from governance.story import live

Place = tuple[str, int]
START_SECONDS = 90


@contextmanager
def gunicorn(
    application: str = "tests.site:application",
    *,
    tls: tuple[str, str] | None = None,
    **environ: str,
) -> Iterator[Place]:
    """Pages and API as they are served in production, on the test's database; ``tls``: certificate and key, as files."""
    with socket.create_server(("127.0.0.1", 0)) as free:
        place: Place = free.getsockname()
    command = [
        *(sys.executable, "-m", "gunicorn", application, "--log-level", "error"),
        *("--bind", f"{place[0]}:{place[1]}", "--workers", "1", "--threads", "4"),
    ]
    if tls:
        command += ["--certfile", tls[0], "--keyfile", tls[1]]
    database = {"ANTIBODY_TEST_DATABASE": str(connection.settings_dict["NAME"])}
    server = subprocess.Popen(
        command, cwd=settings.BASE_DIR, env={**os.environ, **database, **environ}
    )
    try:
        _wait_for(place, tls[0] if tls else "")
        yield place
    finally:
        server.terminate()
        server.wait(timeout=START_SECONDS)


def _wait_for(place: Place, certificate: str = "") -> None:
    scheme = "https" if certificate else "http"
    trusted: Any = ssl.create_default_context(cafile=certificate) if certificate else True
    latest = time.monotonic() + START_SECONDS
    while True:
        try:
            # A worker may still be loading behind a socket that listens already.
            answer = httpx.get(
                f"{scheme}://{place[0]}:{place[1]}/livez", timeout=START_SECONDS, verify=trusted
            )
        except httpx.TransportError:
            assert time.monotonic() < latest, f"nobody answers at {place}"
            time.sleep(0.05)
        else:
            assert answer.status_code == 200
            return


@contextmanager
def serving_asgi() -> Iterator[Place]:
    """Pages, API and streams by uvicorn, with the live channel on its loop as ``serve`` has it."""
    with pytest.MonkeyPatch.context() as patch:
        # Each request has a thread of its own here, and there is no pool to give its connection back to.
        patch.setitem(connections.settings["default"], "CONN_MAX_AGE", 0)
        listener = socket.create_server(("127.0.0.1", 0))
        application = strict_asgi(with_static(ServeStaticASGI, ASGIHandler()))
        server = uvicorn.Server(
            uvicorn.Config(
                application, lifespan="off", log_level="error", timeout_graceful_shutdown=1
            )
        )

        async def serve() -> None:
            live.use_loop(asyncio.get_running_loop())
            await server.serve(sockets=[listener])

        thread = threading.Thread(target=asyncio.run, args=(serve(),), daemon=True)
        thread.start()
        try:
            _wait_for(listener.getsockname())
            yield listener.getsockname()
        finally:
            server.should_exit = True
            thread.join(timeout=START_SECONDS)
            live.use_loop(None)
            listener.close()


def sent(place: Place, raw: bytes, *, seconds: float = 10.0) -> bytes:
    """What a server answers to these very bytes, up to its end of the connection."""
    answer = b""
    with socket.create_connection(place, timeout=seconds) as wire:
        try:
            wire.sendall(raw)
            while chunk := wire.recv(65_536):
                answer += chunk
        except OSError:  # closed while we were still talking
            return answer
    return answer
