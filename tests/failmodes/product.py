"""The product as production runs it, with everything it stands on of its own: PostgreSQL, Redis, a model, a receiver."""

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
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import httpx
import psycopg
import redis

from config import embedded
from config.database import admin_dsn

from .outside import COMPLETION, Outside
from .proxy import Proxy

ROOT = Path(__file__).resolve().parent.parent.parent
STARTS_WITHIN = 60.0
PREPARE = ROOT / "tests" / "failmodes" / "prepare.py"
# What listens at no port.
COMMANDS: dict[str, list[str]] = {
    "sweeper": ["manage.py", "sweep"],
    "signer": ["manage.py", "sign_ledger"],
    "beat": ["-m", "celery", "-A", "config", "beat", "--pidfile", ""],
    "worker": ["-m", "celery", "-A", "config", "worker", "--concurrency", "1"],
}
# How many of them the web called "many" has.
WORKERS = 2
# Of the caller: they would lead our processes to his database, broker or secrets.
NOT_OURS = ("ANTIBODY_", "DATABASE_", "DJANGO_", "REDIS_URL", "SECRET_KEY", "PORT", "DEBUG", "LLM_")


@dataclass
class Product:
    """Its processes by name, and the ways in."""

    directory: Path
    proxy: Proxy
    model: Outside
    receiver: Outside
    ports: dict[str, int] = field(default_factory=dict)
    running: dict[str, subprocess.Popen[bytes]] = field(default_factory=dict)
    cast: dict[str, str] = field(default_factory=dict)

    # --- Processes

    def start(
        self, name: str, env: dict[str, str] | None = None, *, prefix: Sequence[str] = ()
    ) -> None:
        """Start a process, and wait until it answers where it does."""
        with (self.directory / f"{name}.log").open("ab") as log:
            self.running[name] = subprocess.Popen(
                [*prefix, *self._command(name)],
                cwd=ROOT,
                env=self.env(**(env or {})),
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )
        if name in self.ports:
            until(lambda: self._answers(name), STARTS_WITHIN)

    def stop(self, name: str) -> None:
        process = self.running.pop(name)
        with suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
        process.wait()

    def send(self, name: str, number: signal.Signals) -> None:
        os.killpg(self.running[name].pid, number)

    def _command(self, name: str) -> list[str]:
        if name in COMMANDS:
            return [sys.executable, *COMMANDS[name]]
        port = str(self.ports.setdefault(name, free_port()))
        if name == "redis":
            keeps_nothing = ["--save", "", "--appendonly", "no", "--dir", str(self.directory)]
            return ["redis-server", "--port", port, "--bind", "127.0.0.1", *keeps_nothing]
        if name == "streams":
            command = [sys.executable, "-m", "uvicorn", "config.asgi:application"]
            return [*command, "--port", port, "--log-level", "warning"]
        workers = str(WORKERS if name == "many" else 1)
        command = [sys.executable, "-m", "gunicorn", "config.wsgi", "--workers", workers]
        return [*command, "--threads", "8", "--bind", f"127.0.0.1:{port}", "--no-control-socket"]

    def _answers(self, name: str) -> bool:
        process = self.running[name]
        assert process.poll() is None, self.log(name)
        try:
            if name == "redis":
                return bool(redis.Redis(port=self.ports["redis"]).ping())
            return httpx.get(self.url("/livez", name), timeout=2).status_code == httpx.codes.OK
        except (httpx.TransportError, redis.ConnectionError):
            return False

    def env(self, **more: str) -> dict[str, str]:
        env = {name: value for name, value in os.environ.items() if not name.startswith(NOT_OURS)}
        env |= {
            "ANTIBODY_DATA_DIR": str(self.directory),
            "LLM_URL": f"http://127.0.0.1:{self.model.port}/v1",
            "LLM_MODEL": "small",
            "LLM_TIMEOUT_SECONDS": "5",
            "WEBHOOK_PRIVATE_ADDRESSES": "true",
            "LOG_LEVEL": "WARNING",
        }
        if "redis" in self.ports:
            env["REDIS_URL"] = f"redis://127.0.0.1:{self.ports['redis']}/0"
        return env | more

    @property
    def through_the_proxy(self) -> dict[str, str]:
        """What leads a process to the database by the way that can be made slow."""
        return {"DATABASE_URL": f"postgresql://antibody_app@127.0.0.1:{self.proxy.port}/antibody"}

    # --- Ways in

    def url(self, path: str, name: str = "web") -> str:
        return f"http://127.0.0.1:{self.ports[name]}{path}"

    def log(self, name: str) -> str:
        return (self.directory / f"{name}.log").read_text(errors="replace")[-3_000:]

    def ask(self, sql: str, *params: Any, **named: Any) -> list[tuple[Any, ...]]:
        """Ask the database itself, as its superuser."""
        with self.superuser() as connection:
            cursor = connection.execute(sql, named or params)
            return list(cursor.fetchall()) if cursor.description else []

    def warnings(self) -> list[str]:
        """What a fresh look warns of; there is a new one every other second."""
        found: list[str] = httpx.get(self.url("/readyz?fresh"), timeout=10).json()["warnings"]
        return found

    def stop_agents(self, *, on: bool) -> None:
        """A person stops an agent that has nothing to do, or lets it go on: an entry of the ledger."""
        said = {"agent_id": "idle", "on": on, "reason": "A try."}
        bearer = {"Authorization": f"Bearer {self.cast['person']}"}
        httpx.post(
            self.url("/api/v1/ops/agent-stop"), json=said, headers=bearer, timeout=10
        ).raise_for_status()

    def superuser(self) -> psycopg.Connection[Any]:
        dsn = admin_dsn({}, self.directory)
        assert dsn is not None
        return psycopg.connect(**{**dsn, "dbname": "antibody"}, autocommit=True)

    @property
    def cluster(self) -> Path:
        return self.directory / "pg"

    def postmaster(self) -> int:
        return int((self.cluster / "data" / "postmaster.pid").read_text().partition("\n")[0])


@contextmanager
def running() -> Iterator[Product]:
    """A fresh product at work; everything of it is gone afterwards."""
    directory = Path(tempfile.mkdtemp(prefix="abt-modes-"))
    # As root, PostgreSQL runs under another account, which must pass through.
    directory.chmod(0o711)
    model, receiver = Outside(COMPLETION), Outside({})
    embedded.start(directory / "pg")
    socket_file = embedded.socket_directory(directory / "pg") / f".s.PGSQL.{embedded.PORT}"
    product = Product(directory, Proxy(socket_file), model, receiver)
    try:
        if shutil.which("redis-server"):
            product.start("redis")
        product.cast = _prepared(product)
        product.start("sweeper")
        product.start("signer")
        product.start("web", product.through_the_proxy)
        product.start("streams")
        yield product
    finally:
        for name in list(product.running):
            product.stop(name)
        product.proxy.close()
        for outside in (model, receiver):
            outside.down()
        embedded.stop(directory / "pg")
        shutil.rmtree(directory, ignore_errors=True)


def _prepared(product: Product) -> dict[str, str]:
    """Tables, a tenant, an agent's and a person's token, a policy that denies."""
    ended = subprocess.run(
        [sys.executable, str(PREPARE)],
        check=False,
        cwd=ROOT,
        env=product.env(DJANGO_SETTINGS_MODULE="config.settings", PYTHONPATH=str(ROOT)),
        capture_output=True,
        text=True,
        timeout=120,
    )
    assert ended.returncode == 0, ended.stderr[-2_000:]
    made: dict[str, str] = json.loads(ended.stdout)
    return made


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def until(so: Callable[[], Any], seconds: float) -> Any:
    """Wait until something is so, and answer what it is; fails when that takes too long."""
    latest = time.monotonic() + seconds
    while not (found := so()):
        assert time.monotonic() < latest, f"not so within {seconds:.0f} s"
        time.sleep(0.02)
    return found
