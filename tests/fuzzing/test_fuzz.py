"""Nothing that can be sent makes the product fail: schemathesis at every route of a running one, as four at once.

``pytest -m fuzz -s`` takes a minute; ``FUZZ_MINUTES=10`` is the long form, by hand.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread

import httpx
import pytest

from .fuzzing import CALLERS, Outcome, fuzz, run_schemathesis
from .pages import fuzz_pages
from .site import Site, at_work

pytestmark = pytest.mark.fuzz

MINUTES = float(os.environ.get("FUZZ_MINUTES", "1"))
# The short form tries the same each time, so that a red build is red again; the long one looks for what is new.
SEED = 7 if MINUTES <= 1 else None


@pytest.fixture(scope="module")
def site() -> Iterator[Site]:
    with at_work() as found:
        yield found


def test_no_route_fails_whatever_is_sent(site: Site) -> None:
    """An agent, a reviewer and an admin at the API, and the admin's browser at pages, all at the same time."""
    seconds = int(MINUTES * 60)
    described_at = site.directory / "described.json"
    described_at.write_text(site.description())
    with ThreadPoolExecutor(len(CALLERS) + 1) as callers:
        asked = {
            who: callers.submit(fuzz, site, who, described_at, seconds=seconds, seed=SEED)
            for who in CALLERS
        }
        asked["pages"] = callers.submit(fuzz_pages, site, seconds=seconds, seed=SEED)
        outcomes = {who: answered.result() for who, answered in asked.items()}
    for who, outcome in outcomes.items():
        operations = len(outcome.by_operation)
        print(f"{who}: {outcome.answers} answers of {operations} operations: {outcome.figures()}")  # noqa: T201
    for who, outcome in outcomes.items():
        assert not outcome.failed, f"{who}: {outcome.said[-6_000:]}"
        assert not [status for status in outcome.statuses if status >= 500], outcome.said[-6_000:]
        # It came past the door: not everything was refused for who asked, or for what is not there.
        assert outcome.statuses[200] > outcome.answers / 20, who
    assert httpx.get(f"{site.url}/readyz").status_code == httpx.codes.OK
    # Django tells of suspicious questions as errors, and refuses them.
    errors = [
        line
        for line in site.log().splitlines()
        if " ERROR " in line and " ERROR django.security." not in line
    ]
    assert not errors, "\n".join(errors[:20])


class Fragile(BaseHTTPRequestHandler):
    """Fails on whatever is not a short word."""

    def do_GET(self) -> None:
        fails = not self.path.removeprefix("/things/").isalpha() or len(self.path) > 20
        self.send_response(500 if fails else 200)
        self.send_header("Content-Length", "0")
        self.end_headers()

    def log_message(self, format: str, *args: object) -> None:
        """Nobody reads it."""


def test_it_would_tell(tmp_path: Path) -> None:
    """A server that fails on some of what is sent is found out, by the very command and reader of the other test."""
    described = tmp_path / "described.json"
    described.write_text(
        '{"openapi": "3.1.0", "info": {"title": "Fragile", "version": "1"}, "paths": {"/things/{id}": {"get": {'
        '"parameters": [{"name": "id", "in": "path", "required": true, "schema": {"type": "string"}}],'
        '"responses": {"default": {"description": "any"}}}}}}'
    )
    with ThreadingHTTPServer(("127.0.0.1", 0), Fragile) as server:
        thread = Thread(target=server.serve_forever)
        thread.start()
        url = f"http://127.0.0.1:{server.server_port}"
        outcome: Outcome = run_schemathesis(
            tmp_path / "run", str(described), url, {}, {}, seconds=10, seed=SEED
        )
        server.shutdown()
        thread.join()
    assert outcome.failed
    assert outcome.statuses[500]
    assert "Server error" in outcome.said
