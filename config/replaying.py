"""An outside client that plays a file of tool calls or incidents through the HTTP API, in order."""

from __future__ import annotations

import json
import statistics
import time
import uuid
from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import httpx

CARRIED_OUT = {"allow", "warn"}
SETTLED = {"complete", "stopped", "dead", "waiting", "reverted"}
POLL_SECONDS = 0.01
SETTLES_WITHIN = 60.0
# A server that is being restarted is waited for: the same key makes repeating safe.
PATIENCE_SECONDS = 60.0


class ReplayFailed(Exception):
    """The file cannot be read, or the server cannot be reached at all."""


@dataclass(slots=True)
class Pass:
    """What one pass through the file came to."""

    failures: int = 0
    prevented: int = 0
    false_rejections: int = 0


@dataclass(slots=True)
class Tally:
    """What the whole replay came to."""

    calls: int = 0
    allowed: int = 0
    blocked: int = 0
    errors: int = 0
    incidents: set[str] = field(default_factory=set)
    loop_ms: list[float] = field(default_factory=list)
    unsettled: list[str] = field(default_factory=list)
    by_pass: list[Pass] = field(default_factory=list)

    def report(self) -> dict[str, Any]:
        """The figures; times in milliseconds from the report of a failure to the settling of its loop."""
        spread = sorted(self.loop_ms)
        return {
            "calls": self.calls,
            "allowed": self.allowed,
            "blocked": self.blocked,
            "failures": sum(each.failures for each in self.by_pass),
            "incidents": len(self.incidents),
            "prevented": sum(each.prevented for each in self.by_pass),
            "false_rejections": sum(each.false_rejections for each in self.by_pass),
            "errors": self.errors,
            "unsettled": len(self.unsettled),
            "loop_ms": {"p50": _quantile(spread, 0.50), "p95": _quantile(spread, 0.95)},
            "by_pass": [
                {
                    "failures": each.failures,
                    "prevented": each.prevented,
                    "false_rejections": each.false_rejections,
                }
                for each in self.by_pass
            ],
        }


class Api:
    """The HTTP API as one principal sees it."""

    def __init__(self, address: str, token: str) -> None:
        base = address.rstrip("/").removesuffix("/api/v1")
        self.http = httpx.Client(
            base_url=f"{base}/api/v1/", headers={"Authorization": f"Bearer {token}"}, timeout=30.0
        )
        self.errors = 0

    def post(self, path: str, body: dict[str, Any], key: str = "") -> dict[str, Any] | None:
        """The answer, or None (counted) for an error response."""
        return self._answer(
            "POST", path, json=body, headers={"Idempotency-Key": key or uuid.uuid4().hex}
        )

    def get(self, path: str, **query: Any) -> dict[str, Any] | None:
        return self._answer("GET", path, params=query)

    def every(self, path: str, **query: Any) -> Iterator[dict[str, Any]]:
        """All rows of a list, page after page."""
        page = self.get(path, limit=200, **query)
        while page is not None:
            yield from page["results"]
            page = self._answer("GET", page["next"]) if page["next"] else None

    def _answer(self, method: str, path: str, **request: Any) -> dict[str, Any] | None:
        deadline = time.monotonic() + PATIENCE_SECONDS
        while True:
            try:
                response = self.http.request(method, path, **request)
            except httpx.TransportError as error:
                if time.monotonic() > deadline:
                    raise ReplayFailed(f"{self.http.base_url} does not answer: {error}") from error
                time.sleep(0.1)
                continue
            # Too many, away for a moment, or (409) our own first request under this key is still being served.
            is_early = response.status_code in (429, 503) or "Retry-After" in response.headers
            if is_early and time.monotonic() < deadline:
                time.sleep(min(float(response.headers.get("Retry-After", "0.2")), 2.0))
                continue
            if response.is_error:
                self.errors += 1
                return None
            answer: dict[str, Any] = response.json()
            return answer


class Replay:
    """Plays lines in order; after each failure it waits until the loop has settled."""

    def __init__(self, agent: Api, reviewer: Api | None = None) -> None:
        self.agent, self.reviewer = agent, reviewer
        self.tally = Tally()

    def play(self, lines: Iterable[dict[str, Any]], number: int) -> None:
        """One pass; its number is part of every run id and key."""
        self.tally.by_pass.append(Pass())
        for line in lines:
            if "input" in line:
                self._incident(line, number)
            else:
                self._call(line, number)

    def finish(self) -> dict[str, Any]:
        """The figures, with what the server holds at the end."""
        self.tally.errors = self.agent.errors + (self.reviewer.errors if self.reviewer else 0)
        policies = Counter(policy["state"] for policy in self.agent.every("policies"))
        patterns = sum(1 for _ in self.agent.every("patterns"))
        return {**self.tally.report(), "patterns": patterns, "policies": dict(policies)}

    def _call(self, line: dict[str, Any], number: int) -> None:
        tally, now = self.tally, self.tally.by_pass[-1]
        outcome = line["outcome"]
        tally.calls += 1
        now.failures += not outcome["ok"]
        key = f"replay-{number}-{line.get('id') or line['seq']}"
        decision = self.agent.post(
            "guard/decisions",
            {
                "agent_id": line["agent_id"],
                "run_id": f"{line['run_id']}-pass-{number}",
                "step": line.get("step", 0),
                "action": {
                    "kind": "tool_call",
                    "tool": line["tool"],
                    "arguments": line["arguments"],
                },
                "context": {},
            },
            f"{key}-decision",
        )
        if decision is None:
            return
        if decision["verdict"] not in CARRIED_OUT:
            tally.blocked += 1
            now.prevented += not outcome["ok"]
            now.false_rejections += outcome["ok"]
            return
        tally.allowed += 1
        error = None if outcome["ok"] else {"type": "ToolError", "message": str(outcome["error"])}
        reported_at = time.monotonic()
        answer = self.agent.post(
            "guard/outcomes",
            {"decision_id": decision["decision_id"], "ok": outcome["ok"], "error": error},
            f"{key}-outcome",
        )
        if answer and answer.get("incident_id"):
            self._follow(answer["incident_id"], reported_at)

    def _incident(self, line: dict[str, Any], number: int) -> None:
        self.tally.calls += 1
        self.tally.by_pass[-1].failures += 1
        key = f"replay-{number}-{line['id']}"
        reported_at = time.monotonic()
        answer = self.agent.post(
            "incidents", {**line["input"], "source": "replay", "source_key": key}, key
        )
        if answer:
            self._follow(answer["id"], reported_at)

    def _follow(self, incident: str, since: float) -> None:
        """Wait until the incident's loop has settled, deciding what comes up where we may."""
        self.tally.incidents.add(incident)
        deadline = since + SETTLES_WITHIN
        while time.monotonic() < deadline:
            state = self.agent.get(f"integration/loop/{incident}")
            if state is None:
                return
            if state["state"] in SETTLED and not self._decide():
                self.tally.loop_ms.append((time.monotonic() - since) * 1000)
                return
            time.sleep(POLL_SECONDS)
        self.tally.unsettled.append(incident)

    def _decide(self) -> int:
        """Approve everything that waits; how many there were."""
        if self.reviewer is None:
            return 0
        waiting = list(self.reviewer.every("checkpoints", state="pending"))
        for checkpoint in waiting:
            self.reviewer.post(
                f"checkpoints/{checkpoint['id']}/approve",
                {"digest": checkpoint["digest"], "reason": "approved by the replay"},
            )
        return len(waiting)


def read(file: Path) -> list[dict[str, Any]]:
    """The lines of a JSONL file; raises ReplayFailed naming the bad one."""
    lines = []
    try:
        for number, text in enumerate(file.read_text(encoding="utf-8").splitlines(), 1):
            if text.strip():
                line = json.loads(text)
                if (
                    "input" not in line
                    and not {"tool", "arguments", "run_id", "agent_id", "outcome"} <= line.keys()
                ):
                    raise ReplayFailed(f"{file}:{number} is neither a tool call nor an incident.")
                lines.append(line)
    except (OSError, UnicodeDecodeError, ValueError) as error:
        raise ReplayFailed(f"{file} cannot be read: {error}") from error
    return lines


def _quantile(spread: list[float], share: float) -> float | None:
    if not spread:
        return None
    if len(spread) == 1:
        return round(spread[0], 1)
    return round(statistics.quantiles(spread, n=100, method="inclusive")[round(share * 100) - 1], 1)
