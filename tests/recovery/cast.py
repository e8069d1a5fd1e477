"""Matched incidents and the loop's second step, for the tests of recovery."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

from catalog.models import Pattern, PatternMatch
from governance.loop.bridges import Work
from governance.models import Checkpoint, LoopStep, Stage
from recovery import bridge
from recovery.models import Recovery
from tests import factories

MISSING = "no such column: custmer_id"


def pattern(signature: str = "1" * 64, **details: Any) -> Pattern:
    """A known kind of failure."""
    return Pattern.objects.create(
        **{
            "name": "OperationalError in sql_query",
            "error_type": "OperationalError",
            "tool": "sql_query",
            "template": "no such column: <id>",
            "signature": signature,
            "signature_version": 1,
            **details,
        }
    )


def work(of: Pattern, band: str = "strong", *, is_new: bool = False, **details: Any) -> Work:
    """An incident matched with a pattern, whose loop has come to its second step."""
    opened = factories.report(details.pop("message", MISSING), **details)
    match = PatternMatch.objects.create(
        incident=opened.incident,
        pattern=of,
        confidence={"strong": 0.95, "weak": 0.70, "novel": 0.30}[band],
        band=band,
        is_new=is_new,
    )
    facts = {"match_id": match.id, "pattern_id": of.id, "band": band, "is_new": is_new}
    step = LoopStep.objects.create(
        trace=opened.trace,
        stage=Stage.RECOVERY_SUGGESTED,
        state=LoopStep.State.RUNNING,
        output=facts,
    )
    return Work(
        step.id, of.tenant_id, opened.trace.id, opened.incident.id, Stage.RECOVERY_SUGGESTED, facts
    )


def land(*works: Work) -> list[Any]:
    """What comes of these works when they land together; each test says which kind of outcome it expects."""
    outcomes = bridge.land(works)
    return [outcomes[each.step_id] for each in works]


def recovery_of(each: Work) -> Recovery:
    """The recovery of a work's incident."""
    return Recovery.objects.get(match_id=each.facts["match_id"])


def question_of(each: Work) -> Checkpoint:
    """The newest question about it."""
    return Checkpoint.objects.filter(subject=recovery_of(each).id).latest("created_at", "id")


@contextmanager
def server(answer: Any) -> Iterator[tuple[str, list[dict[str, Any]]]]:
    """A real server on loopback: its address, and the POSTs it got. `answer(handler, body)` answers each."""
    got: list[dict[str, Any]] = []

    class Answering(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["Content-Length"]))
            got.append({"path": self.path, "headers": dict(self.headers), "body": body})
            answer(self, body)

        def log_message(self, *_: Any) -> None:
            """Keep quiet."""

    listening = ThreadingHTTPServer(("127.0.0.1", 0), Answering)
    listening.daemon_threads = True
    thread = threading.Thread(target=listening.serve_forever, args=(0.01,), daemon=True)
    thread.start()
    try:
        yield f"http://127.0.0.1:{listening.server_port}", got
    finally:
        listening.shutdown()
        listening.server_close()
        thread.join()


def say(handler: BaseHTTPRequestHandler, status: int, body: bytes = b"", **headers: str) -> None:
    """Answer with a status and a body."""
    handler.send_response(status)
    for name, value in headers.items():
        handler.send_header(name, value)
    handler.send_header("Content-Length", str(len(body)))
    handler.end_headers()
    handler.wfile.write(body)
