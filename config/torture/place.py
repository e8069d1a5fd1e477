"""A place of its own for one torture: data directory, PostgreSQL, Redis, ports, tokens. Nobody else's is touched."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from django.conf import settings

from config import embedded
from config.database import admin_dsn

from . import broker
from .broker import LOCAL, Broker, free_port
from .programs import Program

PREPARES_WITHIN = 120.0
# Short, so that a server that hangs holds nobody up for long; a lease is longer than that.
MODEL_SECONDS = 2
# What ``settings.py`` wants to see before it lets processes kill themselves.
MARK = "torture"
TORTURED, AS_THEY_ARE = "config.torture.settings", "config.settings"
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
    """Where one torture happens. ``broker`` is None where there is no redis-server on the machine.

    ``outside`` is the address of the servers that the product may call. ``tokens`` are agents', by tenant;
    ``reviewers`` are people's; ``known`` are failures that the tenants know.
    """

    directory: Path
    port: int
    streams_port: int
    outside: str = ""
    broker: Broker | None = None
    settings_module: str = TORTURED
    tokens: dict[str, str] = field(default_factory=dict)
    reviewers: list[str] = field(default_factory=list)
    known: dict[str, dict[str, Any]] = field(default_factory=dict)

    @property
    def address(self) -> str:
        return f"http://{LOCAL}:{self.port}"

    @property
    def streams(self) -> str:
        return f"http://{LOCAL}:{self.streams_port}"

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

    @property
    def the_broker(self) -> Broker:
        """The broker, for faults that are about it."""
        assert self.broker is not None, "no broker to break"
        return self.broker

    def env(self, *, broker: bool = False) -> dict[str, str]:
        """The environment of our processes; ``broker`` gives them Redis where we have it."""
        env = {name: value for name, value in os.environ.items() if name not in NOT_OURS}
        env |= {
            "ANTIBODY_DATA_DIR": str(self.directory),
            "DJANGO_SETTINGS_MODULE": self.settings_module,
            "LLM_MODEL": "torture",
            "LLM_TIMEOUT_SECONDS": str(MODEL_SECONDS),
            "LLM_URL": f"{self.outside}/v1" if self.outside else "",
            "LOG_LEVEL": "WARNING",
            "PORT": str(self.port),
            "PYTHONPATH": str(settings.BASE_DIR),
            "PYTHONUNBUFFERED": "1",
            "WEBHOOK_PRIVATE_ADDRESSES": "true",
        }
        if broker and self.broker:
            env["REDIS_URL"] = self.broker.url
        return env

    # --- The programs

    def apart(self) -> list[Program]:
        """The product as production runs it: a process for each part."""
        return [self.web(), self.worker(), self.sweeper(), self.signer()]

    def whole(self) -> list[Program]:
        """The one-process product; its broker is in its own memory."""
        command = manage("serve", "--port", str(self.port), "--json")
        return [Program("whole", command, self.env(), url=f"{self.address}/livez")]

    def web(self) -> Program:
        # Without its control socket, which would be in the caller's home.
        words = ["--workers", "2", "--bind", f"{LOCAL}:{self.port}", "--no-control-socket"]
        command = python("-m", "gunicorn", "config.wsgi", *words)
        return Program("web", command, self.env(broker=True), url=f"{self.address}/livez")

    def streaming(self) -> Program:
        """The site as production runs it for streams."""
        words = ["--host", LOCAL, "--port", str(self.streams_port), "--log-level", "warning"]
        command = python("-m", "uvicorn", "config.asgi:application", *words)
        return Program("streams", command, self.env(broker=True), url=f"{self.streams}/livez")

    def worker(self) -> Program:
        words = ["--concurrency", "2", "--without-gossip", "--without-mingle"]
        return self._celery("worker", "worker", *words, says=" ready.")

    def sweeper(self, more: Mapping[str, str] | None = None) -> Program:
        """The sweeper; ``more`` is added to its environment."""
        env = {**self.env(broker=True), **(more or {})}
        return Program("sweeper", manage("sweep"), env, says="sweeping")

    def signer(self) -> Program:
        return Program("signer", manage("sign_ledger"), self.env(), says="signing")

    def another_sweeper(self, number: int) -> Program:
        return replace(self.sweeper(), name=f"another sweeper {number}")

    def beats(self) -> list[Program]:
        """Two clocks, where there should be one."""
        words = ["--max-interval", "1", "--pidfile", ""]
        return [
            self._celery(f"beat {number}", "beat", *words, says="beat: Starting")
            for number in (1, 2)
        ]

    def _celery(self, name: str, *words: str, says: str) -> Program:
        command = python("-m", "celery", "-A", "config", *words, "--loglevel", "INFO")
        return Program(name, command, self.env(broker=True), says=says)

    # --- Its database

    def break_postgres(self, how: signal.Signals, outage: float) -> None:
        """End the server without a checkpoint, and start it again after ``outage`` seconds.

        SIGKILL leaves its children to notice; SIGQUIT is what ``pg_ctl stop -m immediate`` sends.
        """
        number = int((self.cluster / "data" / "postmaster.pid").read_text().partition("\n")[0])
        os.kill(number, how)
        time.sleep(outage)
        embedded.start(self.cluster)

    def run(self, *command: str) -> str:
        """Run a program of ours to its end; what it said. Raises RuntimeError with what went wrong."""
        ended = subprocess.run(  # noqa: S603 - our own program
            command,
            check=False,
            env=self.env(),
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=PREPARES_WITHIN,
        )
        if ended.returncode != 0:
            raise RuntimeError(f"{' '.join(command[1:])}: {ended.stderr.strip()[-2_000:]}")
        return ended.stdout


@contextmanager
def opened(*, outside: str, keep: bool = False) -> Iterator[Place]:
    """A fresh place, ready for the product's processes; all of it is gone afterwards, unless ``keep``."""
    with folder(keep=keep) as directory, broker.opened(directory) as redis:
        place = Place(directory, free_port(), free_port(), outside, redis)
        with served(place):
            said = json.loads(place.run(*python("-m", "config.torture.prepare", outside)))
            yield replace(place, **said)


@contextmanager
def folder(*, keep: bool = False) -> Iterator[Path]:
    """A folder that a torture may have."""
    directory = Path(tempfile.mkdtemp(prefix="abt-"))
    try:
        # As root, PostgreSQL runs under another account, which must pass through; it owns only what is below.
        directory.chmod(0o711)
        (directory / MARK).touch()
        (directory / "logs").mkdir()
        yield directory
    finally:
        if not keep:
            shutil.rmtree(directory, ignore_errors=True)


@contextmanager
def served(place: Place) -> Iterator[None]:
    """The place's database server, running, until the end."""
    embedded.start(place.cluster)
    try:
        yield
    finally:
        embedded.stop(place.cluster)


def python(*words: str) -> list[str]:
    return [sys.executable, *words]


def manage(*words: str) -> list[str]:
    return python(str(settings.BASE_DIR / "manage.py"), *words)
