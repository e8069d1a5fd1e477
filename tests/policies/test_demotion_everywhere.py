"""A demoted policy is used by no decision that begins after the commit: in two web processes and a worker at once."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from typing import Any

import httpx
import pytest
from django.conf import settings
from django.db import connection

from governance.database.tenancy import tenant_scope
from governance.models import Tenant
from policies.models import Policy
from policies.services import policy_set
from tests import factories, serving

from .guarding import policy

ROUNDS = 4
ASKED_EACH_WAY = 12
"""Decisions of each process before and after each demotion: enough for some to be under way at the commit."""
PATIENCE_SECONDS = 60.0


@dataclass(frozen=True)
class Said:
    """One answer: who gave it, when the question was sent (the machine's monotonic clock), and what decided."""

    where: str
    began: float
    policies: tuple[str, ...]


class Asker(threading.Thread):
    """Asks one process again and again until it is told to stop."""

    def __init__(self, where: str, ask: Callable[[], tuple[float, list[str]]]) -> None:
        super().__init__(name=where, daemon=True)
        self.said: list[Said] = []
        self.problem: Exception | None = None
        self._where, self._ask, self._stopped = where, ask, threading.Event()

    def run(self) -> None:
        try:
            while not self._stopped.is_set():
                began, policies = self._ask()
                self.said.append(Said(self._where, began, tuple(policies)))
        except Exception as error:  # noqa: BLE001 - whoever waits tells it
            self.problem = error

    def stop(self) -> None:
        self._stopped.set()
        self.join()


@contextmanager
def web(token: str) -> Iterator[Callable[[], tuple[float, list[str]]]]:
    """One web process, asked over HTTP."""
    with serving.gunicorn(
        "tests.policies.guard_site:application", ANTIBODY_SPINE_MS="10000"
    ) as place:
        client = httpx.Client(
            base_url=f"http://{place[0]}:{place[1]}",
            headers={"Authorization": f"Bearer {token}"},
            timeout=PATIENCE_SECONDS,
        )
        body = {"agent_id": "scout", "run_id": "web", "action": {"tool": "pay"}}

        def ask() -> tuple[float, list[str]]:
            began = time.monotonic()
            answer = client.post("/api/v1/guard/decisions", json=body)
            assert answer.status_code == 200, answer.text
            return began, [one["id"] for one in answer.json()["policies"]]

        with client:
            yield ask


@contextmanager
def worker(tenant: Tenant) -> Iterator[Callable[[], tuple[float, list[str]]]]:
    """A process without HTTP, asked on its stdin."""
    environ = {
        **os.environ,
        "DJANGO_SETTINGS_MODULE": "config.settings",
        "ANTIBODY_TEST_DATABASE": str(connection.settings_dict["NAME"]),
    }
    process = subprocess.Popen(
        [sys.executable, "-m", "tests.policies.asking_worker", tenant.id],
        cwd=settings.BASE_DIR,
        env=environ,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    asked, answered = process.stdin, process.stdout
    assert asked is not None
    assert answered is not None
    question: dict[str, Any] = {
        "agent_name": "scout", "run_name": "worker", "step": None, "kind": "tool_call", "tool": "pay",
        "arguments": {}, "context": {},
    }  # fmt: skip

    def ask() -> tuple[float, list[str]]:
        asked.write(json.dumps(question) + "\n")
        asked.flush()
        told = json.loads(answered.readline())
        return told["began"], told["policies"]

    try:
        yield ask
    finally:
        asked.close()
        process.wait(timeout=PATIENCE_SECONDS)
        answered.close()


def wait_for_more(askers: list[Asker]) -> None:
    """Until each process has answered that many times more."""
    wanted = [len(asker.said) + ASKED_EACH_WAY for asker in askers]
    latest = time.monotonic() + PATIENCE_SECONDS
    while any(len(asker.said) < count for asker, count in zip(askers, wanted, strict=True)):
        for asker in askers:
            if asker.problem is not None:
                raise AssertionError(f"{asker.name} does not answer") from asker.problem
        assert time.monotonic() < latest, {asker.name: len(asker.said) for asker in askers}
        time.sleep(0.01)


def change(tenant: Tenant, rule: Policy, state: str) -> tuple[float, float]:
    """Move the policy; the moments before the change was begun and after it was committed."""
    before = time.monotonic()
    with tenant_scope(tenant.id):
        Policy.objects.filter(pk=rule.pk).update(state=state)
        policy_set.bump([rule])
    return before, time.monotonic()


@pytest.mark.slow
@pytest.mark.django_db(transaction=True)
def test_no_decision_that_begins_after_the_commit_uses_a_demoted_policy() -> None:
    tenant = factories.tenant("acme")
    with tenant_scope(tenant.id):
        rule = policy(tool="pay", condition="true")
        token = factories.agent_token(tenant)
    demoted: list[tuple[float, float]] = []
    back = 0.0
    with ExitStack() as processes:
        ways = {
            "web 1": processes.enter_context(web(token)),
            "web 2": processes.enter_context(web(token)),
            "worker": processes.enter_context(worker(tenant)),
        }
        askers = [Asker(where, ask) for where, ask in ways.items()]
        for asker in askers:
            asker.start()
            processes.callback(asker.stop)
        for _ in range(ROUNDS):
            wait_for_more(askers)
            _, out_of_force = change(tenant, rule, "shadow")
            wait_for_more(askers)
            back_from, back = change(tenant, rule, "active")
            demoted.append((out_of_force, back_from))
        wait_for_more(askers)
    everything = [said for asker in askers for said in asker.said]
    for committed, until in demoted:
        after = [said for said in everything if committed < said.began < until]
        # The last question before `until` may be answered after the policy came back.
        certain = [said for said in after if not _is_last(said, after)]
        assert not [said for said in certain if said.policies], "a demoted policy was used"
        assert {said.where for said in certain} == set(ways)
    used = [said for said in everything if said.policies == (rule.id,)]
    assert {said.where for said in used} == set(ways), (
        "it was in force everywhere before, and again after"
    )
    assert {said.where for said in used if said.began > back} == set(ways)


def _is_last(said: Said, several: list[Said]) -> bool:
    return said.began == max(one.began for one in several if one.where == said.where)
