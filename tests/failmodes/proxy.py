"""A way to PostgreSQL over loopback that can be made slow."""

from __future__ import annotations

import socket
import threading
import time
from contextlib import suppress
from pathlib import Path


class Proxy:
    """Hands bytes on between clients over TCP and a server's socket; ``delay`` seconds for each answer."""

    def __init__(self, target: Path) -> None:
        self.target = target
        self.delay = 0.0
        self.listener = socket.create_server(("127.0.0.1", 0))
        self.port: int = self.listener.getsockname()[1]
        threading.Thread(target=self._accept, daemon=True).start()

    def close(self) -> None:
        self.listener.close()

    def _accept(self) -> None:
        while True:
            try:
                client, _ = self.listener.accept()
            except OSError:
                return  # closed
            threading.Thread(target=self._serve, args=(client,), daemon=True).start()

    def _serve(self, client: socket.socket) -> None:
        with client, socket.socket(socket.AF_UNIX) as server:
            try:
                server.connect(str(self.target))
            except OSError:
                return  # nobody is there, as the client would have found by itself
            asking = threading.Thread(target=self._hand_on, args=(client, server), daemon=True)
            asking.start()
            self._hand_on(server, client, is_answer=True)
            asking.join()

    def _hand_on(
        self, source: socket.socket, sink: socket.socket, *, is_answer: bool = False
    ) -> None:
        with suppress(OSError):
            while data := source.recv(65_536):
                if is_answer and self.delay:
                    time.sleep(self.delay)
                sink.sendall(data)
        for end in (source, sink):
            with suppress(OSError):
                end.shutdown(socket.SHUT_RDWR)
