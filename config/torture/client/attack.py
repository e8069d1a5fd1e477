"""One attack, and what attacks have in common."""

from __future__ import annotations

import json
import sys
import threading
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any

from .api import Api, GaveUp, until
from .people import Office

Verb = Callable[["Attack"], Any]


class Attack(threading.Thread):
    """One attack; what it found is said in one line of output, and a broken promise counts as a refusal."""

    def __init__(self, verb: Verb, number: int, details: dict[str, Any], office: Office) -> None:
        super().__init__(name=f"{verb.__name__}-{number}", daemon=True)
        self.verb, self.number, self.details, self.office = verb, number, details, office
        self.may_go_on = threading.Event()

    def run(self) -> None:
        found: Any = None
        try:
            found = self.verb(self)
        except Exception as error:  # noqa: BLE001 - whatever it met is the finding
            self.office.tally.refuse(self.name, error)
        self.say(done=self.number, found=found)

    def wait_for_go(self) -> None:
        """Let the torture break something now."""
        self.say(waits=self.number)
        if not self.may_go_on.wait(60.0):
            raise GaveUp("nobody said go")

    def say(self, **words: Any) -> None:
        sys.stdout.write(f"{json.dumps(words)}\n")
        sys.stdout.flush()

    def unique(self, word: str) -> str:
        """A name that no other attack of this run uses."""
        return f"{word}{self.office.task.seed}N{self.number}"


def at_once(verbs: Sequence[Callable[[], Any]]) -> list[Any]:
    """What they answer, all of them begun in the same moment."""
    start = threading.Barrier(len(verbs))

    def begin(verb: Callable[[], Any]) -> Any:
        start.wait()
        return verb()

    with ThreadPoolExecutor(len(verbs)) as pool:
        return list(pool.map(begin, verbs))


def open_story(attack: Attack, which: int = 0) -> dict[str, Any]:
    """A failure that nobody knows, in the tenant where people are asked: where its loop is."""
    office, name = attack.office, attack.unique(f"Unseen{'XYZ'[which]}")
    incident = office.report(
        office.agent("world"),
        {
            "agent_id": "newcomer",
            "error_type": f"{name}Error",
            "message": "the desk has never seen anything like it",
            "tool": "desk",
            "source": "attack",
            "source_key": name,
        },
    )
    progress: dict[str, Any] = office.agent("world").get(f"integration/loop/{incident}")
    return progress


def question_about(trace: str, api: Api) -> dict[str, Any]:
    """The question that a story waits for."""

    def first() -> Any:
        return next(iter(api.get("checkpoints", state="pending", trace=trace)["results"]), None)

    question: dict[str, Any] = until(first, f"nobody was asked about {trace}")
    return question
