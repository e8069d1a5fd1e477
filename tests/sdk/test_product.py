"""The client and the product, each as it is: `manage.py serve` in a process of its own, and no stand-in between them."""

from __future__ import annotations

import json
import os
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest
from antibody_guard import Denied, Guard, Rejected

from .loopback import opened

pytestmark = [pytest.mark.slow]

ROOT = Path(__file__).parents[2]
# Of the caller: they would lead the product to his database or broker.
NOT_OURS = ("ANTIBODY_", "DATABASE_", "DJANGO_", "REDIS_URL", "PORT", "DEBUG")
PATIENCE_S = 60.0


class Product:
    """A product that serves, and the people in it."""

    def __init__(self, env: dict[str, str], said: dict[str, str]) -> None:
        self.url, self.agent_token = said["url"], said["agent_token"]
        self._env = env
        self._reviewer = self._person(said["reviewer_token"])
        self._author = self._person(self._token("olga", "admin"))

    def enforce(self, name: str, **policy: str) -> str:
        """Put a policy in force as people do: one drafts it, another activates it."""
        draft = self._post(self._author, "policies", {"name": name, **policy})["id"]
        self._post(self._author, f"policies/{draft}/submit", {})
        self._post(self._reviewer, f"policies/{draft}/activate", {"reason": "agreed"})
        return str(draft)

    def get(self, path: str) -> Any:
        return self._reviewer.get(path).raise_for_status().json()

    def close(self) -> None:
        self._reviewer.close()
        self._author.close()

    def _person(self, token: str) -> httpx.Client:
        headers = {"Authorization": f"Bearer {token}"}
        return httpx.Client(base_url=f"{self.url}/api/v1/", headers=headers, timeout=PATIENCE_S)

    def _post(self, person: httpx.Client, path: str, body: dict[str, str]) -> Any:
        return person.post(path, json=body).raise_for_status().json()

    def _token(self, user: str, role: str) -> str:
        command = ["create_token", "--tenant", "demo", "--user", user, "--role", role, "--json"]
        done = subprocess.run(
            [sys.executable, "manage.py", *command],
            cwd=ROOT,
            env=self._env,
            check=True,
            capture_output=True,
            text=True,
        )
        return str(json.loads(done.stdout.splitlines()[-1])["token"])


@pytest.fixture(scope="module")
def product() -> Iterator[Product]:
    directory = Path(tempfile.mkdtemp(prefix="abt-sdk-"))
    directory.chmod(
        0o711
    )  # as root, PostgreSQL runs under another account, which must pass through
    env = {name: value for name, value in os.environ.items() if not name.startswith(NOT_OURS)}
    env["ANTIBODY_DATA_DIR"] = str(directory)
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    command = ["serve", "--demo", "--no-agent", "--json", "--port", str(port)]
    server = subprocess.Popen(
        [sys.executable, "manage.py", *command],
        cwd=ROOT,
        env=env,
        stdout=subprocess.PIPE,
        text=True,
    )
    assert server.stdout is not None
    try:
        made = Product(env, json.loads(server.stdout.readline()))
        yield made
        made.close()
    finally:
        server.send_signal(signal.SIGTERM)
        server.wait(timeout=PATIENCE_S)
        server.stdout.close()
        shutil.rmtree(directory, ignore_errors=True)


def guard_of(product: Product, spool: Path, *, url: str = "") -> Guard:
    opened.append(
        Guard(
            url or product.url,
            product.agent_token,
            agent_id="scout",
            deadline_s=PATIENCE_S,
            timeout_s=PATIENCE_S,
            spool=spool,
        )
    )
    return opened[-1]


def test_a_failure_is_told_and_a_denial_says_what_to_do(product: Product, tmp_path: Path) -> None:
    guard = guard_of(product, tmp_path / "spool")

    @guard.tool
    def book(flight: str, cabin: str) -> str:
        if cabin == "first":
            raise ValueError("no seats in first")
        return flight

    with guard.run("run-1"):
        for _ in range(3):
            assert book("LH 454", "economy") == "LH 454"
        with pytest.raises(ValueError, match="no seats"):
            book("LH 454", "first")
    (incident,) = product.get("incidents")["results"]
    assert (incident["tool"], incident["message"]) == ("book", "no seats in first")
    steps = [each["step"] for each in product.get("guard/decisions?tool=book")["results"]]
    assert steps == [3, 2, 1, 0]

    rule = product.enforce("no first", tool="book", condition='arguments.cabin == "first"')
    with pytest.raises(Denied) as caught:
        book("LH 454", "first")
    no = caught.value
    named = {"id": rule, "name": "no first", "action": "block", "version": 1}
    assert (no.retryable, no.policies) == (False, [named])
    changes = [(each["argument"], each["values"]) for each in no.allowed_instead]
    assert changes == [("cabin", ["economy"])]
    assert guard.appeal(no, "It was paid for.") == guard.appeal(no, "Please.")
    asked = [each for each in product.get("checkpoints")["results"] if each["type"] == "appeal"]
    assert [each["subject"] for each in asked] == [no.decision.decision_id]


def test_what_waited_on_disk_arrives_once(product: Product, tmp_path: Path) -> None:
    guard = guard_of(product, tmp_path / "spool")
    decisions = [guard.check("pack", {"n": number}) for number in range(3)]
    away = guard_of(product, tmp_path / "spool", url="http://127.0.0.1:9")
    for decision in decisions:
        away.report(decision, error=ValueError("no box"))
    assert guard.spool is not None
    kept = guard.spool.path.read_bytes()
    told = guard.flush()
    assert [str(each)[:4] for each in told.values()] == ["inc_"] * 3
    # Told, and killed before that was noted: all of it is told again.
    guard.spool.path.write_bytes(kept)
    assert guard.flush() == told
    incidents = [each["message"] for each in product.get("incidents")["results"]]
    assert incidents.count("no box") == 3


def test_a_wrong_token_is_rejected_at_once(product: Product) -> None:
    opened.append(Guard(product.url, "abt_made-up", agent_id="scout"))
    with pytest.raises(Rejected, match="401"):
        opened[-1].check("book", {})
