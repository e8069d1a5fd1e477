"""A Redis of our own, which can be stopped, silenced and emptied."""

from __future__ import annotations

import shutil
import signal
import socket
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import redis

LOCAL = "127.0.0.1"
UP_WITHIN = 10.0


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind((LOCAL, 0))
        return int(probe.getsockname()[1])


class Broker:
    """One redis-server at one port; it keeps nothing on the disk."""

    def __init__(self, server: str, directory: Path) -> None:
        self.server, self.directory = server, directory
        self.port = free_port()
        self.process: subprocess.Popen[bytes] | None = None

    @property
    def url(self) -> str:
        return f"redis://{LOCAL}:{self.port}/0"

    def start(self) -> None:
        """Start it, empty, and wait until it answers. Raises RuntimeError."""
        words = ["--port", str(self.port), "--bind", LOCAL, "--save", "", "--appendonly", "no"]
        self.process = subprocess.Popen(  # noqa: S603 - found on the machine's own path
            [self.server, *words, "--dir", str(self.directory)],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            start_new_session=True,
        )
        deadline = time.monotonic() + UP_WITHIN
        with redis.Redis(host=LOCAL, port=self.port) as client:
            while time.monotonic() < deadline:
                with suppress(redis.ConnectionError):
                    client.ping()
                    return
                time.sleep(0.02)
        raise RuntimeError("redis-server did not start.")

    def kill(self) -> None:
        if self.process is not None:
            self.process.kill()
            self.process.wait()
            self.process = None

    def flush(self) -> None:
        """Throw away everything that it holds."""
        with redis.Redis(host=LOCAL, port=self.port) as client:
            client.flushall()

    @contextmanager
    def silent(self) -> Iterator[None]:
        """For a while it takes connections and says nothing."""
        assert self.process is not None
        self.process.send_signal(signal.SIGSTOP)
        try:
            yield
        finally:
            self.process.send_signal(signal.SIGCONT)


@contextmanager
def opened(directory: Path) -> Iterator[Broker | None]:
    """One that runs; None where there is no redis-server."""
    server = shutil.which("redis-server")
    if server is None:
        yield None
        return
    broker = Broker(server, directory)
    broker.start()
    try:
        yield broker
    finally:
        broker.kill()
