"""What a deploy script relies on: preflight as a process, and /readyz of every worker of one site."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import httpx
import pytest

from governance import readiness

from .breaking import fsync_off, postgresql_lenient, unmigrated
from .product import ROOT, WORKERS, Product, until

pytestmark = pytest.mark.faults

# As an operator would write it: nothing is deployed where a line before failed.
SCRIPT = """set -e
"$PYTHON" manage.py preflight --json "$@"
echo deployed
"""
# What a look takes on a busy machine, besides the time between two of them.
LOOK_SECONDS = 6.0


@dataclass(frozen=True, slots=True)
class Deployment:
    """How the script ended; ``checks`` are preflight's last line."""

    code: int
    ready: bool
    checks: dict[str, str]
    said: str
    told: str

    @property
    def wrong(self) -> set[str]:
        return {
            name
            for name, found in self.checks.items()
            if not found.startswith(("ok", "warning", "skipped"))
        }


def deploy(product: Product, *words: str, **env: str) -> Deployment:
    ended = subprocess.run(
        ["sh", "-c", SCRIPT, "deploy", *words],
        cwd=ROOT,
        env=product.env(PYTHON=sys.executable, **env),
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        check=False,
        timeout=120,
    )
    [said, *_] = [line for line in ended.stdout.splitlines() if line.startswith("{")]
    found = json.loads(said)
    return Deployment(ended.returncode, found["ready"], found["checks"], ended.stdout, ended.stderr)


def test_a_deploy_script_goes_on_where_all_is_well(product: Product) -> None:
    done = deploy(product, "--running")
    assert (done.code, done.ready, done.wrong) == (0, True, set()), done.told
    assert done.said.endswith("deployed\n")
    assert {check.name for check in readiness.checks()} == done.checks.keys()
    assert done.checks["sweeper"] == done.checks["ledger_checkpoint"] == "ok"


BROKEN: list[tuple[str, Callable[[Product], AbstractContextManager[None]], dict[str, str]]] = [
    ("debug", lambda _: nullcontext(), {"DEBUG": "true"}),
    ("role", lambda _: nullcontext(), {"ANTIBODY_LOGIN": "owner"}),
    ("role", postgresql_lenient, {}),
    ("migrations", unmigrated, {}),
    ("fsync", fsync_off, {}),
]


@pytest.mark.parametrize(
    ("name", "broken", "env"), BROKEN, ids=[f"{name}-{n}" for n, (name, _, _) in enumerate(BROKEN)]
)
def test_a_deploy_script_stops_and_is_told_the_check(
    product: Product,
    name: str,
    broken: Callable[[Product], AbstractContextManager[None]],
    env: dict[str, str],
) -> None:
    with broken(product):
        done = deploy(product, **env)
    assert (done.code, done.ready) == (1, False)
    assert name in done.wrong
    assert "deployed" not in done.said
    assert done.told.strip().splitlines()[-1].startswith("CommandError: not ready: ")
    assert name in done.told
    assert "Traceback" not in done.told


def test_a_deploy_script_stops_where_no_database_answers(product: Product) -> None:
    """What asks nothing of it is asked all the same, and the rest is not known to be well."""
    nobody = "postgresql://antibody_app@127.0.0.1:1/antibody"
    done = deploy(product, DATABASE_URL=nobody)
    assert (done.code, done.ready) == (1, False)
    assert {"database", "role", "migrations"} <= done.wrong
    assert done.checks["bridges"] == "ok"
    assert "deployed" not in done.said
    assert "Traceback" not in done.told


# --- Several workers


@pytest.fixture
def workers(product: Product) -> Iterator[list[int]]:
    """The processes of a web that has two, each of which has looked and is ready."""
    product.start("many", product.through_the_proxy)
    try:
        found = until(lambda: len(found := _children(product)) == WORKERS and found, 30)
        until(lambda: _told(product, found) == {(200, None)}, 30)
        yield found
    finally:
        product.stop("many")


def test_every_worker_closes_and_opens_by_itself(product: Product, workers: list[int]) -> None:
    runs = product.ask("SELECT count(*) FROM governance_run")
    with postgresql_lenient(product):
        within = readiness.EVERY_SECONDS + LOOK_SECONDS
        until(lambda: _told(product, workers) == {(503, "role")}, within)
        for worker in workers:
            refused = _alone(worker, workers, partial(_begin, product, worker))
            problem = refused.json()
            assert (refused.status_code, problem["check"], problem["verdict"]) == (
                503,
                "role",
                "block",
            )
    assert product.ask("SELECT count(*) FROM governance_run") == runs
    until(lambda: _told(product, workers) == {(200, None)}, readiness.AGAIN_SECONDS + LOOK_SECONDS)
    for worker in workers:
        begun = _alone(worker, workers, partial(_begin, product, worker))
        assert begun.status_code == httpx.codes.OK
    assert _children(product) == workers, "one of them was started anew"


def _told(product: Product, workers: list[int]) -> set[tuple[int, str | None]]:
    """What each of them says at /readyz: its status, and the check that fails."""
    answers = [_alone(worker, workers, partial(_readyz, product)) for worker in workers]
    return {(answer.status_code, answer.json()["failing"]) for answer in answers}


def _alone(worker: int, workers: list[int], asked: Callable[[], httpx.Response]) -> httpx.Response:
    """The answer of this one: who listens at the same port stands still for a moment.

    No longer: gunicorn kills a worker of which it has heard nothing for half a minute.
    """
    others = [each for each in workers if each != worker]
    for each in others:
        os.kill(each, signal.SIGSTOP)
    try:
        return asked()
    finally:
        for each in others:
            os.kill(each, signal.SIGCONT)


def _children(product: Product) -> list[int]:
    master = product.running["many"].pid
    return [
        int(each) for each in Path(f"/proc/{master}/task/{master}/children").read_text().split()
    ]


def _readyz(product: Product) -> httpx.Response:
    return httpx.get(product.url("/readyz", "many"), timeout=20)


def _begin(product: Product, worker: int) -> httpx.Response:
    run = f"run-of-{worker}"
    question: dict[str, Any] = {"agent_id": "idle", "run_id": run, "action": {"tool": "search"}}
    return httpx.post(
        product.url("/api/v1/guard/decisions", "many"),
        json=question,
        headers={"Authorization": f"Bearer {product.cast['agent']}"},
        timeout=20,
    )
