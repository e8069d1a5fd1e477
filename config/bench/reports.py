"""``bench report``: incidents reported over HTTP to gunicorn while loops run."""

from __future__ import annotations

import json
import os
import socket
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from http import HTTPStatus
from http.client import HTTPConnection
from typing import Any

import httpx

from governance import tokens
from governance.database.tenancy import tenant_scope
from governance.models import Account, Tenant

from . import scene
from .loops import ours
from .race import POLL_SECONDS, ROOT, BenchError, Observer, percentiles, started

WANTED_P95_MS = 50.0
CLIENTS = 8
WORKERS = 2
THREADS = 2
START_SECONDS = 60.0
# Reports and their loops before the clock starts: enough for PostgreSQL to plan as it would an hour later.
WARM = 400
# Loops that are queued when the reports begin, so that both sweepers are busy all the while.
BACKLOG = 3_000


def measure(tenant: Tenant, *, reports: int) -> dict[str, Any]:
    """p50 and p95 of a report in milliseconds, as a client sees it."""
    token, racer = token_of(tenant), ours(tenant)
    with Observer(tenant.id) as observer, site() as address, started(racer) as sweepers:
        report_all(address, token, "warm", WARM)
        for sweeper in sweepers:
            sweeper.ask("go")
        while observer.one(racer.finished)[0] < WARM:
            time.sleep(POLL_SECONDS)
        observer.tidy()
        sweepers[0].ask(f"queue 0 {BACKLOG}")
        before, _ = observer.one(racer.finished)
        began = time.monotonic()
        took = report_all(address, token, "timed", reports)
        seconds = time.monotonic() - began
        loops = observer.one(racer.finished)[0] - before
        for sweeper in sweepers:
            sweeper.ask("stop")
    found = percentiles(took)
    return {
        "reports": reports,
        "clients": CLIENTS,
        "workers": WORKERS,
        "threads": THREADS,
        "report_ms": found,
        "reports_per_second": round(reports / seconds, 1),
        "loops_per_second_meanwhile": round(loops / seconds, 1),
        "wanted": {"p95": WANTED_P95_MS},
        "failed": [] if found["p95"] < WANTED_P95_MS else ["report p95"],
    }


def token_of(tenant: Tenant) -> str:
    """An agent's token."""
    with tenant_scope(tenant.id):
        account = Account.objects.create(name="scout")
        return tokens.make_token(name="bench", account=account)


@contextmanager
def site(
    application: str = "config.bench.site:application",
    *,
    workers: int = WORKERS,
    environ: Mapping[str, str] = os.environ,
) -> Iterator[str]:
    """The address of gunicorn that serves the bench's database."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    command = [
        *(sys.executable, "-m", "gunicorn", application),
        *("--bind", f"127.0.0.1:{port}", "--log-level", "error"),
        *("--workers", str(workers), "--threads", str(THREADS)),
    ]
    server = subprocess.Popen(command, cwd=ROOT, env=dict(environ))  # noqa: S603 - our own words
    try:
        address = f"http://127.0.0.1:{port}"
        _await(address)
        yield address
    finally:
        server.terminate()
        server.wait(timeout=30)


def _await(address: str) -> None:
    latest = time.monotonic() + START_SECONDS
    while time.monotonic() < latest:
        try:
            httpx.get(f"{address}/livez", timeout=2.0)
        except httpx.TransportError:
            time.sleep(0.1)
        else:
            return
    raise BenchError(f"gunicorn does not answer at {address}.")


def report_all(
    address: str, token: str, series: str, reports: int, *, clients: int = CLIENTS
) -> list[float]:
    """Each client reports its share, one after the other; milliseconds of each report."""
    shares = [range(client, reports, clients) for client in range(clients)]
    with ThreadPoolExecutor(clients) as pool:
        took = pool.map(lambda share: _report_share(address, token, series, share), shares)
        return [ms for each in took for ms in each]


def _report_share(address: str, token: str, series: str, numbers: range) -> list[float]:
    """One client. A plain one, for it shares the cores with what it measures."""
    headers = {"Authorization": f"Bearer {token}", "Content-Type": "application/json"}
    client = HTTPConnection(address.removeprefix("http://"), timeout=30.0)
    took = []
    for number in numbers:
        body = json.dumps(_body(number, series))
        began = time.perf_counter()
        client.request("POST", "/api/v1/incidents", body, headers)
        answer = client.getresponse()
        said = answer.read()
        took.append((time.perf_counter() - began) * 1_000)
        if answer.status != HTTPStatus.ACCEPTED:
            raise BenchError(f"A report was answered {answer.status}: {said[:300]!r}")
    client.close()
    return took


def _body(number: int, series: str) -> dict[str, Any]:
    failure = scene.failure(number, series)
    context = {**failure.pop("context"), "arguments": failure.pop("arguments")}
    return {**failure, "agent_id": "scout", "context": context}
