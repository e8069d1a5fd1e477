"""Follow a story while the live channel dies: everything is still seen, once."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from typing import Any

from .api import Api, GaveUp, until
from .attack import Attack, open_story, question_about
from .people import decide

SEES_WITHIN = 15.0


class Follower(threading.Thread):
    """One open stream; the places of the events that it brought, in order."""

    def __init__(self, api: Api, incident: str, after: str | None = None) -> None:
        super().__init__(name=f"follower of {incident}", daemon=True)
        self.api, self.path, self.after = api, f"integration/loop/{incident}/stream", after
        self.seen: list[str] = []
        self.types: list[str] = []
        self.error = ""

    def run(self) -> None:
        try:
            with self.api.stream(self.path, self.after) as lines:
                for said in _messages(lines):
                    self.types.append(said["event"]["type"])
                    self.seen.append(said["event"]["place"])
        except Exception as error:  # noqa: BLE001 - told with what was missed
            self.error = f" ({type(error).__name__}: {error})"

    def wait_for_all(self, story: list[str], why: str) -> None:
        """Wait until it has brought every event of a story, and none of them twice. Raises GaveUp."""
        begin = story.index(self.after) + 1 if self.after else 0
        earlier, wanted = story[:begin], story[begin:]
        try:
            until(lambda: set(wanted) <= set(self.seen), why, SEES_WITHIN)
        except GaveUp as error:
            raise GaveUp(f"{why}: {self.seen} of {wanted}{self.error}") from error
        if len(self.seen) != len(set(self.seen)) or set(self.seen) & set(earlier):
            raise GaveUp(f"{why}: it was sent {self.seen} after {self.after}")


def follow_without_the_channel(attack: Attack) -> dict[str, int]:
    """Follow a story, lose the channel, let the story go on; come back with Last-Event-ID; read it from the start."""
    office = attack.office
    streams = Api(office.task.streams, office.task.tokens["world"], office.tally)
    with office.deciding:
        story = open_story(attack)
        incident = story["incident_id"]
        question = question_about(story["trace_id"], office.reviewer())
        follower = Follower(streams, incident)
        follower.start()
        until(
            lambda: "waiting" in follower.types,
            f"the stream does not show the wait{follower.error}",
        )
        attack.wait_for_go()
        decide(office, office.reviewer(), question, "approve")
    events = _told(attack, incident)
    follower.wait_for_all(events, "a follower who lost the channel misses events")
    middle = events[len(events) // 2]
    for after in (middle, None):
        again = Follower(streams, incident, after)
        again.start()
        again.wait_for_all(events, f"who comes back after {after} misses events")
    return {"events": len(events), "after_the_middle": len(events) - events.index(middle) - 1}


def _told(attack: Attack, incident: str) -> list[str]:
    """The places of all events of a story, once its loop does not run."""
    api = attack.office.agent("world")
    until(
        lambda: api.get(f"integration/loop/{incident}")["state"] != "running",
        f"the loop of {incident} runs on",
    )
    timeline = api.get(f"integration/timeline/{incident}")["timeline"]
    return [entry["place"] for entry in timeline]


def _messages(lines: Iterator[str]) -> Iterator[dict[str, Any]]:
    for line in lines:
        name, _, value = line.partition(": ")
        if name == "data":
            yield json.loads(value)
