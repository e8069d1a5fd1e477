"""The outside client: reports, acts and decides through the HTTP API, and writes down whatever it was promised.

A program of its own with nothing but the standard library and httpx, as a customer's would be. Every id that an
answer acknowledged is in the journal, on the disk, before the thread sends its next request. A request without an
answer is repeated with the same key until there is one.

It reads its task from the first line of standard input (JSON), then numbers: how many more loops it may open.
The end of the input is the end of the work; its figures are the last line of its output.
"""

from __future__ import annotations

import json
import os
import random
import sys
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import httpx

AGENTS = 4
PATIENCE_SECONDS = 90.0
PAUSE_SECONDS = 0.1
DECIDES_EVERY_SECONDS = 0.3
SENT_TWICE = 0.1  # share of reports that are sent again although they were answered
APPROVED = 0.85  # share of the questions that the reviewer says yes to
BY_GUARD = 0.5  # share of the loops that a guarded call opens, where no policy stops it
TRIES = 3  # calls until one fails; then an incident is reported directly
CARRIED_OUT = {"allow", "warn"}


@dataclass(frozen=True, slots=True)
class Task:
    """What the client is told."""

    api: str
    agent_token: str
    reviewer_token: str
    journal: str
    seed: int


class GaveUp(Exception):
    """No answer came within the patience, or one that a correct client should never get."""


class Journal:
    """The ids that were acknowledged, one JSON pair in a line, each on the disk before ``write`` returns."""

    def __init__(self, path: Path) -> None:
        self.lock = threading.Lock()
        self.handle = os.open(path, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o600)

    def write(self, kind: str, record_id: str) -> None:
        with self.lock:
            os.write(self.handle, f"{json.dumps([kind, record_id])}\n".encode())
            os.fsync(self.handle)


def read_journal(path: Path) -> list[tuple[str, str]]:
    """What a journal holds so far: (kind, id), each once. A line that is still being written is left out."""
    if not path.exists():
        return []
    whole = path.read_bytes().rpartition(b"\n")[0]
    return list(dict.fromkeys((kind, each) for kind, each in map(json.loads, whole.splitlines())))


@dataclass(slots=True)
class Tally:
    """What the client saw. ``confused``: the same key was answered with another id."""

    lock: threading.Lock = field(default_factory=threading.Lock)
    answers: Counter[str] = field(default_factory=Counter)
    repeated: int = 0
    refused: list[str] = field(default_factory=list)
    confused: list[str] = field(default_factory=list)

    def count(self, answer: str, *, repeated: bool) -> None:
        with self.lock:
            self.answers[answer] += 1
            self.repeated += repeated

    def refuse(self, name: str, error: Exception) -> None:
        """Note what ended somebody's work, at once for whoever reads our output."""
        words = f"{name}: {type(error).__name__}: {error}"
        self.refused.append(words)
        sys.stderr.write(f"{words}\n")

    def report(self) -> dict[str, Any]:
        return {
            "answers": dict(sorted(self.answers.items())),
            "repeated": self.repeated,
            "refused": self.refused,
            "confused": self.confused,
        }


class Api:
    """The HTTP API as one principal sees it; every request is repeated until it is answered."""

    def __init__(self, address: str, token: str, tally: Tally) -> None:
        self.tally = tally
        self.http = httpx.Client(
            base_url=f"{address}/api/v1/",
            headers={"Authorization": f"Bearer {token}"},
            timeout=httpx.Timeout(10.0, connect=2.0),
        )

    def post(self, path: str, body: dict[str, Any], key: str | None = None) -> httpx.Response:
        headers = {"Idempotency-Key": key} if key else {}
        return self._repeat(lambda: self.http.post(path, json=body, headers=headers))

    def get(self, path: str, **query: Any) -> Any:
        return _expected(self._repeat(lambda: self.http.get(path, params=query)))

    def _repeat(self, send: Callable[[], httpx.Response]) -> httpx.Response:
        deadline, repeated = time.monotonic() + PATIENCE_SECONDS, False
        while time.monotonic() < deadline:
            try:
                response = send()
            except httpx.TransportError as error:
                self.tally.count(type(error).__name__, repeated=repeated)
            else:
                self.tally.count(str(response.status_code), repeated=repeated)
                # A 409 that says when to come back: the first of us under this key is still being served.
                if response.status_code < 500 and "Retry-After" not in response.headers:
                    return response
            repeated = True
            time.sleep(PAUSE_SECONDS)
        raise GaveUp(f"no answer for {PATIENCE_SECONDS:.0f} s")


def _expected(response: httpx.Response) -> Any:
    if response.is_error:
        request = response.request
        raise GaveUp(
            f"{request.method} {request.url.path}: {response.status_code} {response.text[:300]}"
        )
    return response.json()


# --- The agent's world: calls that go well or badly by rules of its own


@dataclass(frozen=True, slots=True)
class Call:
    """One call of a tool, and the error that the world would answer with (None: it goes well)."""

    tool: str
    arguments: dict[str, Any]
    error: tuple[str, str] | None


def _flights(rng: random.Random) -> Call:
    origin = rng.choice(["BOS", "JFK", "SFO", "BOSTON", "NEW YORK", "SAN FRANCISCO"])
    bad = ("ValueError", f"{origin} is not an airport code") if len(origin) > 3 else None
    return Call("search_flights", {"origin": origin, "day": rng.randint(1, 28)}, bad)


def _booking(rng: random.Random) -> Call:
    price, paid = rng.randint(80, 900), rng.choice([0, 50, 1_000])
    bad = ("PaymentError", f"payment of {paid} does not cover {price}") if paid < price else None
    return Call("book_flight", {"price": price, "paid": paid}, bad)


def _customer(rng: random.Random) -> Call:
    user = rng.choice(["sofia_kim", "liam_khan", "unknown"]) + f"_{rng.randint(1000, 9999)}"
    bad = ("NotFound", f"user {user} not found") if user.startswith("unknown") else None
    return Call("get_user", {"user_id": user}, bad)


def _query(rng: random.Random) -> Call:
    column = rng.choice(["name", "total", "nmae", "totl"])
    bad = ("OperationalError", f"no such column: {column}") if column in {"nmae", "totl"} else None
    sql = f"SELECT {column} FROM bookings WHERE id = {rng.randint(1, 500)}"  # noqa: S608 - never run
    return Call("sql_query", {"sql": sql}, bad)


def _mail(rng: random.Random) -> Call:
    seconds = rng.choice([5, 30])
    bad = (
        ("TimeoutError", f"the mail server gave no answer in {seconds} s") if seconds < 10 else None
    )
    return Call("send_mail", {"to": "desk@example.org", "timeout": seconds}, bad)


WORLD = (_flights, _booking, _customer, _query, _mail)


def calls(rng: random.Random) -> Iterator[Call]:
    """Calls without end, about half of which fail."""
    while True:
        yield rng.choice(WORLD)(rng)


# --- The principals


class Agent(threading.Thread):
    """One agent: for each loop that is granted it acts until one incident is acknowledged."""

    def __init__(
        self, number: int, task: Task, grants: Grants, journal: Journal, tally: Tally
    ) -> None:
        super().__init__(name=f"agent-{number}", daemon=True)
        self.grants, self.journal, self.tally = grants, journal, tally
        self.api = Api(task.api, task.agent_token, tally)
        self.rng = random.Random(f"{task.seed}-{number}")  # noqa: S311 - repeatable, guards nothing
        self.world = calls(self.rng)
        self.label = f"torture-{task.seed}-{number}"
        self.sent = 0

    def run(self) -> None:
        try:
            while self.grants.take():
                self._open_a_loop()
        except Exception as error:  # noqa: BLE001 - whatever ends an agent early is a finding
            self.tally.refuse(self.label, error)

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
        decision = _expected(self.api.post("guard/decisions", asked, f"{key}-decision"))
        self.journal.write("decision", decision["decision_id"])
        if decision["verdict"] not in CARRIED_OUT:
            return False
        error = {"type": call.error[0], "message": call.error[1]} if call.error else None
        told = {"decision_id": decision["decision_id"], "ok": error is None, "error": error}
        answer = _expected(self.api.post("guard/outcomes", told, f"{key}-outcome"))
        self.journal.write("outcome", decision["decision_id"])
        if answer["incident_id"]:
            self.journal.write("incident", answer["incident_id"])
        return bool(answer["incident_id"])

    def _report(self, call: Call) -> None:
        """Report a failure; now and then twice, as a client does that lost the answer."""
        assert call.error is not None
        key = self._next_key()
        said = {
            "agent_id": self.label,
            "error_type": call.error[0],
            "message": call.error[1],
            "tool": call.tool,
            "arguments": call.arguments,
            "source": "torture",
            "source_key": key,
        }
        # Either key alone must be enough.
        incident = _expected(self.api.post("incidents", said, self.rng.choice([key, None])))["id"]
        self.journal.write("incident", incident)
        if self.rng.random() < SENT_TWICE:
            again = _expected(self.api.post("incidents", said))["id"]
            if again != incident:
                self.tally.confused.append(f"{key} is {incident} and {again}")

    def _next_key(self) -> str:
        self.sent += 1
        return f"{self.label}-{self.sent}"


class Reviewer(threading.Thread):
    """One person who decides whatever waits, mostly with yes."""

    def __init__(
        self, task: Task, leaving: threading.Event, journal: Journal, tally: Tally
    ) -> None:
        super().__init__(name="reviewer", daemon=True)
        self.leaving, self.journal, self.tally = leaving, journal, tally
        self.api = Api(task.api, task.reviewer_token, tally)
        self.rng = random.Random(f"{task.seed}-reviewer")  # noqa: S311 - repeatable, guards nothing

    def run(self) -> None:
        try:
            while not self.leaving.wait(DECIDES_EVERY_SECONDS):
                self._decide_all()
        except Exception as error:  # noqa: BLE001 - whatever ends the reviewer early is a finding
            self.tally.refuse(self.name, error)

    def _decide_all(self) -> None:
        for checkpoint in self.api.get("checkpoints", state="pending", limit=50)["results"]:
            if self.leaving.is_set():
                return
            self._decide(checkpoint)

    def _decide(self, checkpoint: dict[str, Any]) -> None:
        verb = "approve" if self.rng.random() < APPROVED else "reject"
        said = {"digest": checkpoint["digest"], "reason": "decided by the torture's reviewer"}
        path = f"checkpoints/{checkpoint['id']}/{verb}"
        response = self.api.post(path, said, f"{verb}-{checkpoint['id']}")
        if response.status_code == 409:
            return  # what was shown has changed, or the question was withdrawn: it comes again
        self.journal.write(_expected(response)["state"], checkpoint["id"])


class Grants:
    """How many loops may still be opened, handed out one at a time."""

    def __init__(self) -> None:
        self.changed = threading.Condition()
        self.left = 0
        self.closed = False

    def add(self, number: int) -> None:
        with self.changed:
            self.left += number
            self.changed.notify_all()

    def close(self) -> None:
        with self.changed:
            self.closed = True
            self.changed.notify_all()

    def take(self) -> bool:
        """One of them; waits for it. False when there are none and will be none."""
        with self.changed:
            self.changed.wait_for(lambda: self.left or self.closed)
            if not self.left:
                return False
            self.left -= 1
            return True


def main() -> None:
    task = Task(**json.loads(sys.stdin.readline()))
    journal, tally, grants = Journal(Path(task.journal)), Tally(), Grants()
    leaving = threading.Event()
    reviewer = Reviewer(task, leaving, journal, tally)
    agents = [Agent(number, task, grants, journal, tally) for number in range(AGENTS)]
    for thread in (*agents, reviewer):
        thread.start()
    for line in sys.stdin:
        grants.add(int(line))
    grants.close()
    for agent in agents:
        agent.join()
    leaving.set()
    reviewer.join()
    sys.stdout.write(f"{json.dumps(tally.report())}\n")


if __name__ == "__main__":
    main()
