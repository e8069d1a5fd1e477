"""Who works there: agents whose calls go wrong, and a person who decides."""

from __future__ import annotations

import random
import threading
from collections import deque
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from .api import Api, Tally, expected
from .journal import Journal
from .world import Call, calls

DECIDES_EVERY_SECONDS = 0.3
SENT_TWICE = 0.1  # share of reports that are sent again although they were answered
APPROVED = 0.85  # share of the questions that the reviewer says yes to
BY_GUARD = 0.5  # share of the loops that a guarded call opens, where no policy stops it
TRIES = 3  # calls until one fails; then an incident is reported directly
CARRIED_OUT = {"allow", "warn"}


@dataclass(frozen=True, slots=True)
class Task:
    """What the client is told.

    ``tokens`` are the agents', by tenant: in ``world`` people are asked, in ``scene`` a known failure crosses every
    bridge by itself, ``calls`` asks servers outside. ``known`` are failures that those two know.
    """

    api: str
    streams: str
    journal: str
    seed: int
    tokens: dict[str, str]
    reviewers: list[str]
    known: dict[str, dict[str, Any]]


@dataclass(slots=True)
class Office:
    """What everybody of the client shares. Who holds ``deciding`` keeps the reviewer from the questions."""

    task: Task
    journal: Journal
    tally: Tally = field(default_factory=Tally)
    deciding: threading.Lock = field(default_factory=threading.Lock)

    @classmethod
    def of(cls, task: Task) -> Office:
        return cls(task, Journal(Path(task.journal)))

    def agent(self, tenant: str) -> Api:
        return Api(self.task.api, self.task.tokens[tenant], self.tally)

    def reviewer(self, number: int = 0) -> Api:
        return Api(self.task.api, self.task.reviewers[number], self.tally)

    def report(self, api: Api, said: dict[str, Any], key: str | None = None) -> str:
        """The id of the incident, in the journal already."""
        incident: str = expected(api.post("incidents", said, key))["id"]
        self.journal.write("incident", incident)
        return incident


class Grants:
    """How many loops may still be opened and in which tenant, handed out one at a time."""

    def __init__(self) -> None:
        self.changed = threading.Condition()
        self.left: deque[str] = deque()
        self.closed = False

    def add(self, number: int, tenant: str) -> None:
        with self.changed:
            self.left.extend([tenant] * number)
            self.changed.notify_all()

    def close(self) -> None:
        with self.changed:
            self.closed = True
            self.changed.notify_all()

    def take(self) -> str | None:
        """The tenant of one of them; waits for it. None when there are none and will be none."""
        with self.changed:
            self.changed.wait_for(lambda: self.left or self.closed)
            return self.left.popleft() if self.left else None


class Agent(threading.Thread):
    """One agent: for each loop that is granted it acts until one incident is acknowledged."""

    def __init__(self, number: int, office: Office, grants: Grants) -> None:
        super().__init__(name=f"agent-{number}", daemon=True)
        self.office, self.grants = office, grants
        self.apis = {tenant: office.agent(tenant) for tenant in office.task.tokens}
        self.api = self.apis["world"]
        self.rng = random.Random(f"{office.task.seed}-{number}")  # noqa: S311 - repeatable, guards nothing
        self.world = calls(self.rng)
        self.label = f"torture-{office.task.seed}-{number}"
        self.sent = 0

    def run(self) -> None:
        try:
            while tenant := self.grants.take():
                match tenant:
                    case "scene":
                        self._report_known("scene")
                    case "calls":
                        self._call_outside()
                    case _:
                        self._open_a_loop()
        except Exception as error:  # noqa: BLE001 - whatever ends an agent early is a finding
            self.office.tally.refuse(self.label, error)

    def _open_a_loop(self) -> None:
        if self.rng.random() < BY_GUARD and any(self._act() for _ in range(TRIES)):
            return
        self._report(next(call for call in self.world if call.error))

    def _act(self) -> bool:
        """Ask the guard, act, tell how it went; whether an incident came of it."""
        call, key = next(self.world), self._next_key()
        action = {"kind": "tool_call", "tool": call.tool, "arguments": call.arguments}
        asked = {
            "agent_id": self.label,
            "run_id": f"{self.label}-{self.sent // 10}",
            "step": self.sent % 10,
            "action": action,
            "context": {},
        }
        decision = expected(self.api.post("guard/decisions", asked, f"{key}-decision"))
        self.office.journal.write("decision", decision["decision_id"])
        if decision["verdict"] not in CARRIED_OUT:
            return False
        error = {"type": call.error[0], "message": call.error[1]} if call.error else None
        told = {"decision_id": decision["decision_id"], "ok": error is None, "error": error}
        answer = expected(self.api.post("guard/outcomes", told, f"{key}-outcome"))
        self.office.journal.write("outcome", decision["decision_id"])
        if answer["incident_id"]:
            self.office.journal.write("incident", answer["incident_id"])
        return bool(answer["incident_id"])

    def _report(self, call: Call) -> None:
        """Report a failure; now and then twice, as a client does that lost the answer."""
        assert call.error is not None
        error_type, message = call.error
        said = self._said(
            error_type=error_type, message=message, tool=call.tool, arguments=call.arguments
        )
        key = said["source_key"]
        # Either key alone must be enough.
        incident = self.office.report(self.api, said, self.rng.choice([key, None]))
        if self.rng.random() < SENT_TWICE:
            again = expected(self.api.post("incidents", said))["id"]
            if again != incident:
                self.office.tally.confused.append(f"{key} is {incident} and {again}")

    def _report_known(self, name: str) -> None:
        tenant = "scene" if name == "scene" else "calls"
        self.office.report(self.apis[tenant], self._said(**self.office.task.known[name]))

    def _call_outside(self) -> None:
        """A failure whose remedy is a webhook, or a new one, about which the model is asked."""
        if self.sent % 2:
            self._report_known("webhook")
            return
        # Of an error type of its own: a known failure would be answered with what is in force.
        name = f"Novel{self.label.title().replace('-', '')}N{self.sent}Error"
        said = self._said(error_type=name, message="the desk does not know what to do", tool="desk")
        self.office.report(self.apis["calls"], said)

    def _said(self, **failure: Any) -> dict[str, Any]:
        return {
            **failure,
            "agent_id": self.label,
            "source": "torture",
            "source_key": self._next_key(),
        }

    def _next_key(self) -> str:
        self.sent += 1
        return f"{self.label}-{self.sent}"


class Reviewer(threading.Thread):
    """One person who decides whatever waits, mostly with yes."""

    def __init__(self, office: Office, leaving: threading.Event) -> None:
        super().__init__(name="reviewer", daemon=True)
        self.office, self.leaving = office, leaving
        self.api = office.reviewer()
        self.rng = random.Random(f"{office.task.seed}-reviewer")  # noqa: S311 - repeatable, guards nothing

    def run(self) -> None:
        try:
            while not self.leaving.wait(DECIDES_EVERY_SECONDS):
                self._decide_all()
        except Exception as error:  # noqa: BLE001 - whatever ends the reviewer early is a finding
            self.office.tally.refuse(self.name, error)

    def _decide_all(self) -> None:
        for checkpoint in self.api.get("checkpoints", state="pending", limit=50)["results"]:
            if self.leaving.is_set():
                return
            with self.office.deciding:
                self._decide(checkpoint)

    def _decide(self, checkpoint: dict[str, Any]) -> None:
        verb = "approve" if self.rng.random() < APPROVED else "reject"
        decide(self.office, self.api, checkpoint, verb)


def decide(office: Office, api: Api, checkpoint: dict[str, Any], verb: str) -> Any:
    """Decide what was shown; None where it has changed since, or somebody was first."""
    said = {"digest": checkpoint["digest"], "reason": "decided by the torture's reviewer"}
    path = f"checkpoints/{checkpoint['id']}/{verb}"
    response = api.post(path, said, f"{verb}-{checkpoint['id']}")
    if response.status_code == 409:
        return None  # what was shown has changed, or the question was withdrawn: it comes again
    decided = expected(response)
    office.journal.write(decided["state"], checkpoint["id"])
    return decided
