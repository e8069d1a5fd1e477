"""A server on loopback that answers each request with the bytes that a test wants, or does not answer."""

from __future__ import annotations

import json
import socket
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from typing import Any

from antibody_guard import Guard

opened: list[Guard] = []
"""Clients to be closed when the test is over."""
TOKEN = "abt_a-token-that-nobody-must-see"
ALLOWED = {"decision_id": "dec_1", "verdict": "allow"}

Behaviour = Callable[[socket.socket], None]


@dataclass
class Received:
    """One request as it came."""

    path: str
    headers: dict[str, str]
    body: dict[str, Any]


@dataclass
class Loopback:
    """What came in, and what is done about it: one behaviour for each request, the last for all that follow."""

    url: str
    behaviours: list[Behaviour]
    received: list[Received] = field(default_factory=list)

    def keys(self) -> list[str]:
        return [each.headers["idempotency-key"] for each in self.received]


def answer(
    body: Any = ALLOWED,
    *,
    status: str = "200 OK",
    kind: str = "application/json",
    headers: str = "",
) -> Behaviour:
    """A whole answer; a text is sent as it is."""
    content = body if isinstance(body, bytes) else json.dumps(body).encode()
    head = (
        f"HTTP/1.1 {status}\r\nContent-Type: {kind}\r\nContent-Length: {len(content)}\r\n"
        f"Connection: close\r\n{headers}\r\n"  # a connection is not used twice here
    )
    return raw(head.encode() + content)


def raw(content: bytes) -> Behaviour:
    return lambda wire: wire.sendall(content)


def guard(url: str, **details: Any) -> Guard:
    """A client that is closed after the test."""
    opened.append(Guard(url, TOKEN, agent_id="scout", **details))
    return opened[-1]


@contextmanager
def serving(*behaviours: Behaviour) -> Iterator[Loopback]:
    """Each connection takes one request, and is closed after what is done about it."""
    listener = socket.create_server(("127.0.0.1", 0))
    server = Loopback(f"http://127.0.0.1:{listener.getsockname()[1]}", list(behaviours))
    thread = threading.Thread(target=_serve, args=(listener, server), daemon=True)
    thread.start()
    try:
        yield server
    finally:
        listener.shutdown(socket.SHUT_RDWR)
        listener.close()
        thread.join(timeout=10)


def _serve(listener: socket.socket, server: Loopback) -> None:
    while True:
        try:
            wire, _ = listener.accept()
        except OSError:
            return
        threading.Thread(target=_one, args=(wire, server), daemon=True).start()


def _one(wire: socket.socket, server: Loopback) -> None:
    with wire, suppress(OSError):
        head, _, body = _until(wire, b"\r\n\r\n").partition(b"\r\n\r\n")
        first, *lines = head.decode().split("\r\n")
        headers = {name.lower(): value for name, value in (line.split(": ", 1) for line in lines)}
        while len(body) < int(headers["content-length"]):
            body += wire.recv(65_536)
        server.received.append(Received(first.split()[1], headers, json.loads(body)))
        behave = server.behaviours.pop(0) if len(server.behaviours) > 1 else server.behaviours[0]
        behave(wire)


def _until(wire: socket.socket, end: bytes) -> bytes:
    text = b""
    while end not in text:
        if not (more := wire.recv(65_536)):
            raise OSError("closed")
        text += more
    return text
