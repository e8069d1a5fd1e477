"""Doing each thing that the table speaks of, and saying which of its words describes what came of it."""

from __future__ import annotations

import itertools
import json
import threading
import time
from collections.abc import Callable
from contextlib import ExitStack, suppress
from dataclasses import dataclass
from typing import Any

import httpx

from governance.failmodes import Kind, Op, Outcome

from .product import Product, until

Try = Callable[[str], httpx.Response]

_numbers = itertools.count(1)
NOUNS = [
    "anchor",
    "bridge",
    "candle",
    "dragon",
    "engine",
    "forest",
    "garden",
    "hammer",
    "island",
    "jacket",
    "kettle",
    "ladder",
]
# A sweeper gives way to whatever else this machine is busy with.
LOOPS_WITHIN = 90.0


@dataclass(frozen=True, slots=True)
class Seen:
    """What came of one try, how long the answer took, and what was sent (again, if need be)."""

    outcome: Outcome
    seconds: float
    again: Callable[[], httpx.Response]
    key: str = ""


@dataclass(frozen=True, slots=True)
class Story:
    """A loop that waits for a person."""

    key: str
    incident: str
    checkpoint: str
    digest: str


class Trying(ExitStack):
    """One outside client: an agent, a person with a token, and the same person's browser."""

    def __init__(self, product: Product, web: str = "web") -> None:
        super().__init__()
        self.product, self.web = product, web
        self.agent = self._client({"Authorization": f"Bearer {product.cast['agent']}"})
        self.person = self._client({"Authorization": f"Bearer {product.cast['person']}"})
        self.browser = self._client({"Cookie": f"sessionid={product.cast['session']}"})

    def _client(self, headers: dict[str, str]) -> httpx.Client:
        return self.enter_context(httpx.Client(headers=headers, timeout=30))

    def post(self, client: httpx.Client, route: str, body: dict[str, Any]) -> httpx.Response:
        return client.post(self.product.url(f"/api/v1/{route}", self.web), json=body)

    def ready(self, *, fresh: bool = False) -> httpx.Response:
        path = "/readyz?fresh" if fresh else "/readyz"
        return self.browser.get(self.product.url(path, self.web))

    # --- Failures and their loops

    def report(self, tool: str = "") -> str:
        """A failure of a kind of its own, or the known one of a tool; its source key."""
        number = next(_numbers)
        words = " ".join(NOUNS[(number * step) % len(NOUNS)] for step in (1, 5, 7))
        kind = f"{'abcdefghij'[number % 10] * (number % 7 + 3)} {words}"
        body = {
            "agent_id": "scout",
            "error_type": "LookupError" if tool else f"Odd{number}Error",
            "message": f"the {tool or kind} is gone",
            "tool": tool or f"tool_{number}",
            "source": "modes",
            "source_key": f"key-{number}",
        }
        answer = self.post(self.agent, "incidents", body)
        assert answer.status_code == 202, answer.text
        return f"key-{number}"

    def story(self, key: str, seconds: float = LOOPS_WITHIN) -> Story:
        """The loop of a failure, as soon as it asks a person."""
        rows = until(lambda: self.asked(key), seconds)
        return Story(key, *rows[0])

    def asked(self, key: str) -> list[tuple[Any, ...]]:
        return self.product.ask(
            "SELECT i.id, c.id, c.digest FROM incidents_incident i"
            " JOIN governance_looptrace t ON t.incident_id = i.id"
            " JOIN governance_checkpoint c ON c.trace_id = t.id"
            " WHERE i.source_key = %s AND c.state = 'pending'",
            key,
        )

    def told(self, key: str, type: str) -> bool:
        """Whether the story of a failure has an event of this type."""
        return bool(
            self.product.ask(
                "SELECT 1 FROM incidents_incident i JOIN governance_looptrace t ON t.incident_id = i.id"
                " JOIN governance_loopevent e ON e.trace_id = t.id"
                " WHERE i.source_key = %s AND e.type = %s",
                key,
                type,
            )
        )

    def approve(self, story: Story) -> httpx.Response:
        body = {"digest": story.digest}
        return self.post(self.person, f"checkpoints/{story.checkpoint}/approve", body)

    def decided(self, tool: str) -> str:
        answer = self.post(self.agent, "guard/decisions", _question("run-known", tool))
        assert answer.status_code == 200, answer.text
        return str(answer.json()["decision_id"])

    # --- Tries

    def tries(self, story: Story, allowed: str, denied: str) -> dict[Op, Try]:
        """How to do each of those that are a request, with a loop and two decisions from before."""
        return {
            Op.DECIDE: lambda key: self.post(
                self.agent, "guard/decisions", _question("run-known", "search", key)
            ),
            Op.BEGIN: lambda key: self.post(
                self.agent, "guard/decisions", _question(key, "search", key)
            ),
            Op.SIMULATE: lambda key: self.post(
                self.agent, "guard/simulate", _question("run-known", "search")
            ),
            Op.OUTCOME: lambda key: self.post(
                self.agent, "guard/outcomes", {"decision_id": allowed, "ok": True}
            ),
            Op.INCIDENT: lambda key: self.post(self.agent, "incidents", _incident(key)),
            Op.APPEAL: lambda key: self.post(
                self.agent, f"guard/decisions/{denied}/appeal", {"reason": "It was right."}
            ),
            Op.CHECKPOINT: lambda key: self.approve(story),
            Op.STOP: lambda key: self.post(
                self.person, "ops/agent-stop", {"agent_id": "idle", "on": True, "reason": "A try."}
            ),
            Op.PAGE: lambda key: self.browser.get(self.product.url("/console/incidents", self.web)),
        }


def seen(op: Op, do: Try, again: Try) -> Seen:
    """One try of one request, and how to do the very same later."""
    key = f"try-{next(_numbers)}"
    began = time.monotonic()
    response = do(key)
    return Seen(_outcome(op, response), time.monotonic() - began, lambda: again(key), key)


class Follower:
    """Somebody who follows a story live."""

    def __init__(self, product: Product, incident: str) -> None:
        self.product, self.incident = product, incident
        self.came: list[str] = []
        self.has_ended = threading.Event()
        self.is_open = threading.Event()
        threading.Thread(target=self._read, daemon=True).start()
        assert self.is_open.wait(30), product.log("streams")

    def heard(self, type: str) -> bool:
        return type in self.came

    def _read(self) -> None:
        url = self.product.url(f"/api/v1/integration/loop/{self.incident}/stream", "streams")
        headers = {"Authorization": f"Bearer {self.product.cast['person']}"}
        with (
            suppress(httpx.HTTPError),
            httpx.stream("GET", url, headers=headers, timeout=httpx.Timeout(120)) as response,
        ):
            for line in response.iter_lines():
                self.is_open.set()
                if line.startswith("data: "):
                    self.came.append(json.loads(line[6:])["event"]["type"])
        self.is_open.set()
        self.has_ended.set()


def _question(run: str, tool: str, said: str = "") -> dict[str, Any]:
    action = {"kind": "tool_call", "tool": tool, "arguments": {"said": said}}
    return {"agent_id": "scout", "run_id": run, "action": action}


def _incident(key: str) -> dict[str, Any]:
    told = {"agent_id": "scout", "error_type": "ValueError", "message": "x is no number"}
    return {**told, "source": "modes", "source_key": key}


def _outcome(op: Op, response: httpx.Response) -> Outcome:
    if response.status_code < 300:
        return Outcome.USUAL
    assert response.status_code == 503, f"{op.title}: {response.status_code} {response.text[:500]}"
    assert response.headers["Retry-After"]
    if op is Op.PAGE:
        return Outcome.AWAY
    problem = response.json()
    assert (problem["code"], problem["retryable"]) == ("governance_unavailable", True)
    assert (problem.get("verdict") == "block") is (op.kind is Kind.SPINE), problem
    return {Kind.SPINE: Outcome.NO, Kind.EVENT: Outcome.AGAIN}.get(op.kind, Outcome.AWAY)
