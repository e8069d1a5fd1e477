"""A place of its own for one torture: data directory, PostgreSQL, Redis, ports, tokens. Nobody else's is touched."""

from __future__ import annotations

import json
import os
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import redis
from django.conf import settings

from config import embedded
from config.database import admin_dsn

from .programs import Program

LOCAL = "127.0.0.1"
PREPARES_WITHIN = 120.0
BROKER_UP_WITHIN = 10.0
# Variables of the caller that would lead our processes to his database, broker or secrets.
NOT_OURS = (
    "ANTIBODY_LEDGER_DIR",
    "ANTIBODY_LOGIN",
    "ANTIBODY_POOL",
    "DATABASE_ADMIN_URL",
    "DATABASE_OWNER_URL",
    "DATABASE_URL",
    "DJANGO_SETTINGS_MODULE",
    "REDIS_URL",
    "SECRET_KEY",
)


@dataclass(frozen=True, slots=True)
class Place:
    """Where one torture happens. ``broker_port`` is None where there is no redis-server on the machine."""

    directory: Path
    port: int
    broker_port: int | None
    agent_token: str = ""
    reviewer_token: str = ""

    @property
    def address(self) -> str:
        return f"http://{LOCAL}:{self.port}"

    @property
    def journal(self) -> Path:
        return self.directory / "acknowledged.jsonl"

    @property
    def logs(self) -> Path:
        return self.directory / "logs"

    @property
    def dsn(self) -> dict[str, Any]:
        """psycopg.connect's arguments for an administrator in the product's database."""
        dsn = admin_dsn({}, self.directory)
        assert dsn is not None, "the embedded server always has an administrator"
        return {**dsn, "dbname": "antibody"}

    @property
    def cluster(self) -> Path:
        return self.directory / "pg"

    def env(self, *, broker: bool = False) -> dict[str, str]:
        """The environment of our processes; ``broker`` gives them Redis where we have it."""
        env = {name: value for name, value in os.environ.items() if name not in NOT_OURS}
        env |= {
            "ANTIBODY_DATA_DIR": str(self.directory),
            "LOG_LEVEL": "WARNING",
            "PORT": str(self.port),
            "PYTHONPATH": str(settings.BASE_DIR),
            "PYTHONUNBUFFERED": "1",
        }
        if broker and self.broker_port:
            env["REDIS_URL"] = f"redis://{LOCAL}:{self.broker_port}/0"
        return env

    def apart(self) -> list[Program]:
        """The product as production runs it: a process for each part."""
        env = self.env(broker=True)
        bind = f"{LOCAL}:{self.port}"
        # Without its control socket, which would be in the caller's home.
        words = ["--workers", "2", "--bind", bind, "--no-control-socket"]
        gunicorn = _python("-m", "gunicorn", "config.wsgi", *words)
        worker = [
            "--concurrency",
            "2",
            "--loglevel",
            "INFO",
            "--without-gossip",
            "--without-mingle",
        ]
        return [
            Program("web", gunicorn, env, url=f"{self.address}/livez"),
            Program(
                "worker",
                _python("-m", "celery", "-A", "config", "worker", *worker),
                env,
                says=" ready.",
            ),
            Program("sweeper", _manage("sweep"), env, says="sweeping"),
            Program("signer", _manage("sign_ledger"), self.env(), says="signing"),
        ]

    def whole(self) -> list[Program]:
        """The one-process product; its broker is in its own memory."""
        command = _manage("serve", "--port", str(self.port), "--json")
        return [Program("whole", command, self.env(), url=f"{self.address}/livez")]

    # --- Breaking what the processes stand on

    def flush_broker(self) -> None:
        """Throw away everything that Redis holds. Raises where there is none."""
        assert self.broker_port is not None, "no broker to flush"
        with redis.Redis(host=LOCAL, port=self.broker_port) as broker:
            broker.flushall()

    def break_postgres(self, how: signal.Signals, outage: float) -> None:
        """End the server without a checkpoint, and start it again after ``outage`` seconds.

        SIGKILL leaves its children to notice; SIGQUIT is what ``pg_ctl stop -m immediate`` sends.
        """
        number = int((self.cluster / "data" / "postmaster.pid").read_text().partition("\n")[0])
        os.kill(number, how)
        time.sleep(outage)
        embedded.start(self.cluster)


@contextmanager
def opened(*, keep: bool = False) -> Iterator[Place]:
    """A fresh place, ready for the product's processes; all of it is gone afterwards, unless ``keep``."""
    directory = Path(tempfile.mkdtemp(prefix="abt-"))
    # As root, PostgreSQL runs under another account, which must pass through; it owns only what is below.
    directory.chmod(0o711)
    try:
        with _broker(directory) as broker_port:
            place = Place(directory, _free_port(), broker_port)
            place.logs.mkdir()
            embedded.start(place.cluster)
            try:
                yield _prepared(place)
            finally:
                embedded.stop(place.cluster)
    finally:
        if not keep:
            shutil.rmtree(directory, ignore_errors=True)


def _prepared(place: Place) -> Place:
    """The place with its tables and tokens. Raises RuntimeError with what the program said."""
    ended = subprocess.run(  # noqa: S603 - our own program
        _python("-m", "config.torture.prepare"),
        check=False,
        env=place.env() | {"DJANGO_SETTINGS_MODULE": "config.settings"},
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=PREPARES_WITHIN,
    )
    if ended.returncode != 0:
        raise RuntimeError(f"{place.directory} cannot be prepared: {ended.stderr.strip()[-2_000:]}")
    return replace(place, **json.loads(ended.stdout))


@contextmanager
def _broker(directory: Path) -> Iterator[int | None]:
    """A Redis of our own that keeps nothing on the disk; None where there is no redis-server."""
    server = shutil.which("redis-server")
    if server is None:
        yield None
        return
    port = _free_port()
    words = ["--port", str(port), "--bind", LOCAL, "--save", "", "--appendonly", "no"]
    process = subprocess.Popen(  # noqa: S603 - found on the machine's own path
        [server, *words, "--dir", str(directory)],
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        start_new_session=True,
    )
    try:
        _wait_for_broker(port)
        yield port
    finally:
        process.kill()
        process.wait()


def _wait_for_broker(port: int) -> None:
    deadline = time.monotonic() + BROKER_UP_WITHIN
    with redis.Redis(host=LOCAL, port=port) as broker:
        while time.monotonic() < deadline:
            with suppress(redis.ConnectionError):
                broker.ping()
                return
            time.sleep(0.02)
    raise RuntimeError("redis-server did not start.")


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind((LOCAL, 0))
        return int(probe.getsockname()[1])


def _python(*words: str) -> list[str]:
    return [sys.executable, *words]


def _manage(*words: str) -> list[str]:
    return _python(str(settings.BASE_DIR / "manage.py"), *words)
