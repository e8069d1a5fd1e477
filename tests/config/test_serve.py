"""What ``serve`` believes of whoever connects to it."""

from __future__ import annotations

import json
import socket
import threading
from typing import Any

import httpx

from config.management.commands.serve import _Server


async def who(scope: Any, receive: Any, send: Any) -> None:
    """Answers with who asked, and by which scheme, as the server tells an application."""
    body = json.dumps([scope["client"][0], scope["scheme"]]).encode()
    await send({"type": "http.response.start", "status": 200, "headers": []})
    await send({"type": "http.response.body", "body": body})


def test_a_stranger_cannot_say_from_where_or_how_he_asks() -> None:
    started = threading.Event()
    listener = socket.create_server(("127.0.0.1", 0))
    server = _Server(who, listener, lambda address: started.set())
    thread = threading.Thread(target=server.run)
    thread.start()
    try:
        assert started.wait(10)
        said = {
            "X-Forwarded-For": "203.0.113.9",
            "X-Forwarded-Proto": "https",
            "Forwarded": "for=203.0.113.9",
        }
        answer = httpx.get(f"http://127.0.0.1:{listener.getsockname()[1]}/", headers=said)
        assert answer.json() == ["127.0.0.1", "http"]
    finally:
        server.server.should_exit = True
        thread.join(10)
        listener.close()
