"""How an agent connects to Antibody: ask before every action, report after, no answer means stop.

>>> guard = Guard("http://127.0.0.1:8000/api/v1/", token, agent_id="travel-desk")
>>> verdict = guard.check("sql_query", {"sql": "SELECT 1"}, run_id="desk-7-1", step=0)
>>> if verdict.allowed:
...     guard.report(verdict, error=attempt())  # None when it went well
"""

from __future__ import annotations

import itertools
import time
import uuid
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import httpx


class NoAnswer(Exception):
    """Antibody could not be asked, so the action must not happen. Asking again later may help."""


class Refused(NoAnswer):
    """Antibody did not accept the question (a wrong token, a wrong shape).

    Asking again will not help.
    """


@dataclass(frozen=True)
class Verdict:
    """What Antibody says about one action that has not happened yet."""

    decision_id: str
    word: str
    reason: str
    retryable: bool
    appeal_url: str | None
    policies: list[Mapping[str, Any]]
    directives: list[Mapping[str, Any]]

    @property
    def allowed(self) -> bool:
        """Only these two words are a yes; a word that this client has never heard of is a no."""
        return self.word in {"allow", "warn"}


class Guard:
    """One agent's line to Antibody.

    ``tries`` is how often a question is put before NoAnswer is raised (None: until it is
    answered); ``wait(seconds, why)`` is called between two tries. Safe to repeat: every POST
    keeps one Idempotency-Key over its tries.
    """

    def __init__(
        self,
        api: str,
        token: str,
        *,
        agent_id: str,
        tries: int | None = 6,
        wait: Callable[[float, str], None] = lambda seconds, why: time.sleep(seconds),
        timeout_s: float = 5.0,
    ) -> None:
        headers = {"Authorization": f"Bearer {token}"}
        self._http = httpx.Client(base_url=api, headers=headers, timeout=timeout_s)
        self._agent_id, self._tries, self._wait = agent_id, tries, wait

    def check(
        self,
        tool: str,
        arguments: Mapping[str, Any],
        *,
        run_id: str,
        step: int,
        context: Mapping[str, Any] | None = None,
    ) -> Verdict:
        """Ask whether a tool call may happen. Raises NoAnswer: then it must not."""
        action = {"kind": "tool_call", "tool": tool, "arguments": arguments}
        run = {"agent_id": self._agent_id, "run_id": run_id, "step": step}
        answer = self._post("guard/decisions", {**run, "action": action, "context": context or {}})
        if not (answer.get("decision_id") and answer.get("verdict")):
            raise NoAnswer("an answer without a verdict")
        return Verdict(
            decision_id=answer["decision_id"],
            word=answer["verdict"],
            reason=answer.get("reason") or "",
            retryable=bool(answer.get("retryable")),
            appeal_url=answer.get("appeal_url"),
            policies=answer.get("policies") or [],
            directives=answer.get("directives") or [],
        )

    def report(
        self,
        verdict: Verdict,
        *,
        error: Exception | None = None,
        latency_ms: int = 0,
        cost_usd: float = 0.0,
    ) -> str | None:
        """Say how an allowed action went.

        Returns the incident that a failure opened, if it opened one.
        """
        failure = {"type": type(error).__name__, "message": str(error)} if error else None
        outcome = {"decision_id": verdict.decision_id, "ok": error is None, "error": failure}
        spent = {"latency_ms": latency_ms, "cost_usd": cost_usd}
        incident: str | None = self._post("guard/outcomes", {**outcome, **spent}).get("incident_id")
        return incident

    def appeal(self, verdict: Verdict, reason: str) -> None:
        """Ask a person to look at a refusal that the agent believes to be wrong.

        The refusal stands meanwhile.
        """
        if verdict.appeal_url:
            self._post(str(self._http.base_url.join(verdict.appeal_url)), {"reason": reason})

    def close(self) -> None:
        self._http.close()

    def _post(self, path: str, body: Mapping[str, Any]) -> dict[str, Any]:
        key = {"Idempotency-Key": str(uuid.uuid4())}
        for attempt in itertools.count(1):
            seconds = min(2.0 ** (attempt - 1), 30.0)
            try:
                answer = self._http.post(path, json=body, headers=key)
            except httpx.TransportError as silence:
                why = f"no answer ({type(silence).__name__})"
            else:
                if answer.is_success:
                    return _object(answer)
                why = f"{answer.status_code} {answer.reason_phrase}"
                # A 409 that says when to come back: our first request under this key is at work.
                if not (answer.is_server_error or "Retry-After" in answer.headers):
                    raise Refused(f"{why}: {answer.text[:300]}")
                seconds = _retry_after(answer) or seconds
            if attempt == self._tries:
                raise NoAnswer(why)
            self._wait(seconds, why)
        raise AssertionError("itertools.count never ends")


def _object(answer: httpx.Response) -> dict[str, Any]:
    try:
        body = answer.json()
    except ValueError as garbled:
        raise NoAnswer("an answer that is not JSON") from garbled
    if not isinstance(body, dict):
        raise NoAnswer("an answer that is not a JSON object")
    return body


def _retry_after(answer: httpx.Response) -> float:
    """Seconds asked for by the server; 0 when it named none (or a date, which we do not read)."""
    text = answer.headers.get("Retry-After", "")
    return float(text) if text.isdecimal() else 0.0
