"""A language model and a webhook's receiver on loopback, that behave as they are told."""

from __future__ import annotations

import json
import threading
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

WELL, JUNK, DRIPPING, DOWN = "well", "junk", "dripping", "down"

SUGGESTION = {
    "rationale": "It is misspelt.",
    "action": {"kind": "pre_check", "params": {"check": "Look at the names first."}},
}
COMPLETION = {"choices": [{"message": {"role": "assistant", "content": json.dumps(SUGGESTION)}}]}


class Outside:
    """One server that is not ours. While it is down nobody listens on its port."""

    def __init__(self, answer: dict[str, Any]) -> None:
        self.answer = json.dumps(answer).encode()
        self.behaves = WELL
        self.got: list[dict[str, str]] = []
        self.port = 0
        self._listen()

    def down(self) -> None:
        self.behaves = DOWN
        self.server.shutdown()
        self.server.server_close()

    def well(self) -> None:
        if self.behaves == DOWN:
            self._listen()
        self.behaves = WELL

    def _listen(self) -> None:
        outside = self

        class Answering(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                self.rfile.read(int(self.headers["Content-Length"]))
                outside.got.append({name.lower(): value for name, value in self.headers.items()})
                outside.say(self)

            def log_message(self, *_: Any) -> None:
                """Keep quiet."""

        ThreadingHTTPServer.allow_reuse_address = True
        self.server = ThreadingHTTPServer(("127.0.0.1", self.port), Answering)
        self.server.daemon_threads = True
        self.port = self.server.server_port
        threading.Thread(target=self.server.serve_forever, args=(0.01,), daemon=True).start()

    def say(self, handler: BaseHTTPRequestHandler) -> None:
        body = b"<html>nonsense" if self.behaves == JUNK else self.answer
        handler.send_response(200)
        handler.send_header("Content-Length", str(len(body)))
        handler.end_headers()
        for byte in body:
            if self.behaves != DRIPPING:
                break
            try:
                handler.wfile.write(bytes([byte]))
                handler.wfile.flush()
            except OSError:
                return
            time.sleep(0.2)
        else:
            return
        handler.wfile.write(body)
