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
def service(vulnerable: set[str]) -> Iterator[str]:
    """A service that speaks OSV's protocol: which package, in which version; what is known about it."""

    class Answering(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            asked = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
            known = asked["package"]["name"] in vulnerable
            body = json.dumps({"vulns": [TORN]} if known else {}).encode()
            self.send_response(200)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_: Any) -> None:
            """Keep quiet."""

    with ThreadingHTTPServer(("127.0.0.1", 0), Answering) as server:
        thread = threading.Thread(target=server.serve_forever, args=(0.01,))
        thread.start()
        try:
            yield f"http://127.0.0.1:{server.server_port}/v1/query"
        finally:
            server.shutdown()
            thread.join()


def audit(url: str, folder: Path) -> tuple[int, str]:
    locked = folder / "locked.txt"
    locked.write_text(LOCKED)
    ended = subprocess.run(
        [sys.executable, "scripts/audit.py", str(locked)], cwd=settings.BASE_DIR,
        env={**os.environ, "OSV_URL": url}, capture_output=True, text=True, check=False, timeout=120,
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
    with service(vulnerable) as url:
        found, said = audit(url, tmp_path)
    assert (found, says in said) == (code, True), said


def test_where_nobody_can_be_asked_it_says_so_and_stops_nobody(tmp_path: Path) -> None:
    code, said = audit("http://127.0.0.1:1/v1/query", tmp_path)
    assert code == 0
    assert "SKIPPED, the vulnerability service could not be reached" in said
