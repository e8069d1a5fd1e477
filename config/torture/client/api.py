"""The HTTP API as an outsider sees it: every request is repeated, with the same key, until it is answered."""

from __future__ import annotations

import sys
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

import httpx

PATIENCE_SECONDS = 90.0
PAUSE_SECONDS = 0.1


class GaveUp(Exception):
    """No answer came within the patience, or one that a correct client should never get."""


@dataclass(slots=True)
class Tally:
    """What the client saw. ``confused``: the same key was answered with another id."""

    lock: threading.Lock = field(default_factory=threading.Lock)
    answers: Counter[str] = field(default_factory=Counter)
    repeated: int = 0
    refused: list[str] = field(default_factory=list)
    confused: list[str] = field(default_factory=list)

    def count(self, answer: str, *, repeated: bool) -> None:
        with self.lock:
            self.answers[answer] += 1
            self.repeated += repeated

    def refuse(self, name: str, error: Exception) -> None:
        """Note what ended somebody's work, at once for whoever reads our output."""
        words = f"{name}: {type(error).__name__}: {error}"
        self.refused.append(words)
        sys.stderr.write(f"{words}\n")

    def report(self) -> dict[str, Any]:
        return {
            "answers": dict(sorted(self.answers.items())),
            "repeated": self.repeated,
            "refused": self.refused,
            "confused": self.confused,
        }


class Api:
    """The API for one principal."""

    def __init__(self, address: str, token: str, tally: Tally) -> None:
        self.tally = tally
        self.http = httpx.Client(
            base_url=f"{address}/api/v1/",
            headers={"Authorization": f"Bearer {token}"},
            timeout=httpx.Timeout(10.0, connect=2.0),
        )

    def post(self, path: str, body: dict[str, Any], key: str | None = None) -> httpx.Response:
        headers = {"Idempotency-Key": key} if key else {}
        return self._repeat(lambda: self.http.post(path, json=body, headers=headers))

    def post_bytes(self, path: str, body: bytes) -> httpx.Response:
        headers = {"Content-Type": "application/json"}
        return self._repeat(lambda: self.http.post(path, content=body, headers=headers))

    def get(self, path: str, **query: Any) -> Any:
        return expected(self._repeat(lambda: self.http.get(path, params=query)))

    @contextmanager
    def stream(self, path: str, after: str | None = None) -> Iterator[Iterator[str]]:
        """The lines of an event stream, from after an event on."""
        headers = {} if after is None else {"Last-Event-ID": after}
        # A stream may be quiet for a while before it says that it is still there.
        with self.http.stream("GET", path, headers=headers, timeout=PATIENCE_SECONDS) as response:
            if response.is_error:
                raise GaveUp(f"the stream was answered with {response.status_code}")
            yield response.iter_lines()

    def _repeat(self, send: Callable[[], httpx.Response]) -> httpx.Response:
        deadline, repeated = time.monotonic() + PATIENCE_SECONDS, False
        while time.monotonic() < deadline:
            try:
                response = send()
            except httpx.TransportError as error:
                self.tally.count(type(error).__name__, repeated=repeated)
            else:
                self.tally.count(str(response.status_code), repeated=repeated)
                if not _is_not_now(response):
                    return response
            repeated = True
            time.sleep(PAUSE_SECONDS)
        raise GaveUp(f"no answer for {PATIENCE_SECONDS:.0f} s")


def _is_not_now(response: httpx.Response) -> bool:
    # A 409 that says when to come back: the first of us under this key is still being served.
    return response.status_code >= 500 or "Retry-After" in response.headers


def expected(response: httpx.Response) -> Any:
    """The body of an answer that is no error. Raises GaveUp."""
    if response.is_error:
        request = response.request
        raise GaveUp(
            f"{request.method} {request.url.path}: {response.status_code} {response.text[:300]}"
        )
    return response.json()


def until(what: Callable[[], Any], why: str, seconds: float = PATIENCE_SECONDS) -> Any:
    """The first answer that is not empty. Raises GaveUp saying ``why``."""
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        if found := what():
            return found
        time.sleep(PAUSE_SECONDS)
    raise GaveUp(f"{why}, for {seconds:.0f} s")
