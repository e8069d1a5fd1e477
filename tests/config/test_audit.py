"""The audit of locked packages fails for a vulnerable one, passes for none, and says so where nobody could be asked."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest
from django.conf import settings

LOCKED = """\
sound==1.0 \\
    --hash=sha256:0000000000000000000000000000000000000000000000000000000000000000
torn==2.0 \\
    --hash=sha256:0000000000000000000000000000000000000000000000000000000000000000
"""
TORN = {
    "id": "TEST-2026-1", "summary": "It is torn.", "details": "It is torn.", "aliases": [], "modified": "2026-01-01T00:00:00Z",
    "affected": [
        {"package": {"name": "torn", "ecosystem": "PyPI"}, "ranges": [
            {"type": "ECOSYSTEM", "events": [{"introduced": "0"}, {"fixed": "2.1"}]}]}
    ],
}  # fmt: skip


@contextmanager
def listening(answering: type[BaseHTTPRequestHandler]) -> Iterator[str]:
    """A server on loopback; its address."""
    with ThreadingHTTPServer(("127.0.0.1", 0), answering) as server:
        thread = threading.Thread(target=server.serve_forever, args=(0.01,))
        thread.start()
        try:
            yield f"http://127.0.0.1:{server.server_port}"
        finally:
            server.shutdown()
            thread.join()


class Quiet(BaseHTTPRequestHandler):
    def answer(self, status: int, body: dict[str, Any]) -> None:
        raw = json.dumps(body).encode()
        self.send_response(status)
        self.send_header("Content-Length", str(len(raw)))
        self.end_headers()
        self.wfile.write(raw)

    def log_message(self, *_: Any) -> None:
        """Keep quiet."""


def osv(vulnerable: set[str]) -> type[Quiet]:
    """Speaks OSV's protocol: which package, in which version; what is known about it."""

    class Osv(Quiet):
        def do_POST(self) -> None:
            asked = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
            self.answer(200, {"vulns": [TORN]} if asked["package"]["name"] in vulnerable else {})

    return Osv


def index(pages: dict[str, tuple[str, bool]]) -> type[Quiet]:
    """Speaks PyPI's JSON API. A page, by its path, tells the package's version and whether it is vulnerable."""

    class Index(Quiet):
        def do_GET(self) -> None:
            if self.path not in pages:
                self.answer(404, {"message": "Not Found"})
                return
            version, vulnerable = pages[self.path]
            known = [{**TORN, "fixed_in": ["2.1"]}] if vulnerable else []
            self.answer(200, {"info": {"version": version}, "vulnerabilities": known})

    return Index


def audit(folder: Path, **settled: str) -> tuple[int, str]:
    locked = folder / "locked.txt"
    locked.write_text(LOCKED)
    ended = subprocess.run(
        [sys.executable, "scripts/audit.py", str(locked)], cwd=settings.BASE_DIR,
        env={**os.environ, **settled}, capture_output=True, text=True, check=False, timeout=120,
    )  # fmt: skip
    return ended.returncode, ended.stdout


@pytest.mark.parametrize(
    ("vulnerable", "code", "says"),
    [
        (set(), 0, "2 of 2 audited, 0 vulnerable"),
        ({"torn"}, 1, "torn 2.0: TEST-2026-1"),
    ],
)
def test_a_vulnerable_package_fails_the_build(
    tmp_path: Path, vulnerable: set[str], code: int, says: str
) -> None:
    with listening(osv(vulnerable)) as url:
        found, said = audit(tmp_path, OSV_URL=f"{url}/v1/query")
    assert (found, says in said) == (code, True), said


SOUND = {"/pypi/sound/1.0/json": ("1.0", False)}


@pytest.mark.parametrize(
    ("torn", "code", "says"),
    [
        ({"/pypi/torn/2.0/json": ("2.0", True)}, 1, "torn 2.0: TEST-2026-1"),
        ({"/pypi/torn/json": ("2.0", True)}, 1, "torn 2.0: TEST-2026-1"),
        ({"/pypi/torn/json": ("2.0.0", False)}, 0, "2 of 2 audited, 0 vulnerable"),
        # What is true of the newest version says nothing about an older one.
        ({"/pypi/torn/json": ("2.1", False)}, 0, "nothing is known of torn\n"),
        ({"/pypi/torn/json": ("2.1", True)}, 0, "1 of 2 audited, 0 vulnerable"),
    ],
    ids=["its own page", "the newest is vulnerable", "the newest is sound", "a newer one", "a newer vulnerable one"],
)  # fmt: skip
def test_an_index_is_asked_for_the_version_and_else_for_the_newest(
    tmp_path: Path, torn: dict[str, tuple[str, bool]], code: int, says: str
) -> None:
    with listening(index(SOUND | torn)) as url:
        found, said = audit(tmp_path, INDEX_URL=url)
    assert (found, says in said) == (code, True), said


@pytest.mark.parametrize("setting", ["OSV_URL", "INDEX_URL"])
def test_where_nobody_can_be_asked_it_says_so_and_stops_nobody(
    tmp_path: Path, setting: str
) -> None:
    code, said = audit(tmp_path, **{setting: "http://127.0.0.1:1/v1/query"})
    assert code == 0
    assert "SKIPPED, the vulnerability service could not be reached" in said
