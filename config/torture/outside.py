"""Servers that are not the product's: a language model and a receiver of webhooks, on loopback, that can misbehave.

They count what arrives by its key, because a repeated call must carry the key that it had the first time.
"""

from __future__ import annotations

import hashlib
import json
import threading
import time
from collections import Counter
from dataclasses import dataclass
from enum import StrEnum
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from types import TracebackType
from typing import Any, Self

MODEL = "/v1/chat/completions"
WEBHOOK = "/webhook"
# Longer than anybody waits for an answer.
HANGS_SECONDS = 30.0
DRIPS_EVERY = 0.2

SUGGESTS = {
    "rationale": "The desk did not know what to do, and may know in a while.",
    "action": {
        "kind": "retry_policy",
        "params": {"max_attempts": 2, "backoff_ms": 500, "retry_on": ["DeskError"]},
    },
}
JUNK = b"\x00\xff{]<html>\x00"


class Mood(StrEnum):
    """How the servers answer."""

    GOOD = "good"
    HANGS = "hangs"  # takes the request and says nothing
    DRIPS = "drips"  # a byte now and then, without end
    FAILS = "fails"  # 500
    JUNK = "junk"  # 200, and bytes that mean nothing


@dataclass(frozen=True, slots=True)
class Arrival:
    """One request that came. ``body`` is the digest of its bytes; empty where they differ each time on purpose."""

    purpose: str
    key: str
    body: str


class Outside:
    """Both servers, under one address, in threads of this process; they outlive everything that is killed."""

    def __init__(self) -> None:
        self.lock = threading.Lock()
        self.arrivals: list[Arrival] = []
        self.met: Counter[Mood] = Counter()
        self.mood = Mood.GOOD
        outside = self

        class Handler(_Answering):
            def do_POST(self) -> None:
                outside.take(self)

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.server.daemon_threads = True

    def __enter__(self) -> Self:
        threading.Thread(target=self.server.serve_forever, name="outside", daemon=True).start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.server.shutdown()
        self.server.server_close()

    @property
    def address(self) -> str:
        return f"http://127.0.0.1:{self.server.server_port}"

    def take(self, request: _Answering) -> None:
        """Count a request, then answer it as the mood is."""
        length = int(request.headers.get("content-length", 0))
        body = request.rfile.read(length)
        if len(body) < length:
            return  # who sent it died on the way: it never arrived
        is_model = request.path == MODEL
        key = request.headers.get("idempotency-key" if is_model else "webhook-id", "")
        # What the model is shown stands within a fence that is drawn anew each time.
        digest = "" if is_model else hashlib.sha256(body).hexdigest()
        with self.lock:
            mood = self.mood
            self.met[mood] += 1
            self.arrivals.append(Arrival("suggestion" if is_model else "webhook", key, digest))
        request.answer(mood, _completion() if is_model else b"taken")

    def counted(self) -> list[Arrival]:
        """What has arrived so far."""
        with self.lock:
            return list(self.arrivals)

    def figures(self) -> dict[str, Any]:
        """How many calls came, with how many keys, and how each mood was met."""
        arrivals = self.counted()
        return {
            "calls": len(arrivals),
            "keys": len({(each.purpose, each.key) for each in arrivals}),
            **{f"met_{mood}": count for mood, count in sorted(self.met.items())},
        }


class _Answering(BaseHTTPRequestHandler):
    """One request, and the five ways to answer it."""

    def answer(self, mood: Mood, good: bytes) -> None:
        match mood:
            case Mood.GOOD:
                self._say(200, good)
            case Mood.FAILS:
                self._say(500, b"oops")
            case Mood.JUNK:
                self._say(200, JUNK)
            case Mood.HANGS:
                time.sleep(HANGS_SECONDS)
            case Mood.DRIPS:
                self._drip()

    def _say(self, status: int, body: bytes) -> None:
        self.send_response(status)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def _drip(self) -> None:
        self.send_response(200)
        self.end_headers()
        ends = time.monotonic() + HANGS_SECONDS
        try:
            while time.monotonic() < ends:
                self.wfile.write(b" ")
                self.wfile.flush()
                time.sleep(DRIPS_EVERY)
        except OSError:
            return  # nobody listens any more

    def handle(self) -> None:
        # Who asked may have been killed meanwhile.
        try:
            super().handle()
        except OSError:
            return

    def log_message(self, *args: object) -> None:
        """Say nothing: the torture has its own words."""


def _completion() -> bytes:
    said = {"role": "assistant", "content": json.dumps(SUGGESTS)}
    return json.dumps({"choices": [{"message": said}]}).encode()
