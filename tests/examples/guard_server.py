"""A guard on loopback that speaks the contract of ``/api/v1/guard/``: the outside server of an
outside client.

It remembers and nothing else: a call that failed once, told by exactly its tool and arguments, is
blocked from then on.
"""

from __future__ import annotations

import json
import threading
from collections import deque
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

TOKEN = "agent-token"
BASE = "/api/v1/"


class GuardServer(ThreadingHTTPServer):
    """``silences`` are answered first, one to each request: (status, headers)."""

    daemon_threads = True

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), _Guard)
        self.silences: deque[tuple[int, dict[str, str]]] = deque()
        self.directives: list[dict[str, Any]] = []
        self.word_for_failed = "block"
        self.failed: set[str] = set()
        self.keys: list[str] = []
        self.decisions: dict[str, dict[str, Any]] = {}
        self.outcomes: list[dict[str, Any]] = []
        self.appeals: list[str] = []
        self._answers: dict[str, dict[str, Any]] = {}
        self._thread = threading.Thread(target=self.serve_forever, args=(0.02,), daemon=True)

    @property
    def api(self) -> str:
        return f"http://127.0.0.1:{self.server_port}{BASE}"

    def open(self) -> GuardServer:
        self._thread.start()
        return self

    def close(self) -> None:
        if self._thread.is_alive():
            self.shutdown()
            self._thread.join()
        self.server_close()

    def answer(self, path: str, key: str, body: dict[str, Any]) -> dict[str, Any]:
        """One answer for one key, however often it is asked."""
        if key not in self._answers:
            self._answers[key] = (
                self._decide(body) if path == "guard/decisions" else self._take(path, body)
            )
        return self._answers[key]

    def remember(self, tool: str, arguments: dict[str, Any]) -> None:
        """Hold this call for one that has failed."""
        self.failed.add(_name({"kind": "tool_call", "tool": tool, "arguments": arguments}))

    def allowed(self) -> list[dict[str, Any]]:
        """The decisions that let a call through, in order."""
        return [decision for decision in self.decisions.values() if decision["verdict"] == "allow"]

    def _decide(self, body: dict[str, Any]) -> dict[str, Any]:
        decision_id = f"dec_{len(self.decisions):06d}"
        verdict = self.word_for_failed if _name(body["action"]) in self.failed else "allow"
        self.decisions[decision_id] = {**body, "verdict": verdict}
        return {
            "decision_id": decision_id,
            "verdict": verdict,
            "policies": [],
            "reason": "" if verdict == "allow" else "this very call has failed before",
            "retryable": False,
            "appeal_url": f"{BASE}guard/decisions/{decision_id}/appeal",
            "directives": self.directives,
        }

    def _take(self, path: str, body: dict[str, Any]) -> dict[str, Any]:
        if path.endswith("/appeal"):
            self.appeals.append(path.split("/")[2])
            return {"checkpoint_id": "chk_1"}
        self.outcomes.append(body)
        if body["ok"]:
            return {"incident_id": None}
        self.failed.add(_name(self.decisions[body["decision_id"]]["action"]))
        return {"incident_id": f"inc_{len(self.outcomes):06d}"}


class _Guard(BaseHTTPRequestHandler):
    server: GuardServer

    def do_POST(self) -> None:
        body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        key = self.headers.get("Idempotency-Key", "")
        self.server.keys.append(key)
        if self.headers.get("Authorization") != f"Bearer {TOKEN}" or not key:
            self._send(401, {"title": "Who are you?"})
        elif self.server.silences:
            status, headers = self.server.silences.popleft()
            self._send(status, {"title": "not now"}, headers)
        else:
            self._send(200, self.server.answer(self.path.removeprefix(BASE), key, body))

    def log_message(self, format: str, *args: Any) -> None:
        pass

    def _send(
        self, status: int, body: dict[str, Any], headers: dict[str, str] | None = None
    ) -> None:
        content = json.dumps(body).encode()
        self.send_response(status)
        for name, value in (headers or {}).items():
            self.send_header(name, value)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        self.wfile.write(content)


def _name(action: dict[str, Any]) -> str:
    return json.dumps(action, sort_keys=True)
