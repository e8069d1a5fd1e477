"""Failures made up for the bench: kinds as programs write them, with values that change, and the kind of each known."""

from __future__ import annotations

import random
from collections.abc import Iterator
from dataclasses import dataclass


def _words(text: str) -> tuple[str, ...]:
    return tuple(text.split())


# What programs say of failures; a kind is made of an action, what it was about, and what went wrong with it.
_ACTIONS = _words(
    "opening reading writing closing sending fetching parsing committing loading locking starting renewing"
)
_OBJECTS = _words(
    "session connection transaction partition certificate container payment order invoice seat booking message "
    "index replica snapshot ticket parcel refund shipment account segment manifest template schedule"
)
_WRONG = (
    "timed out after {num} ms",
    "was refused by {host}",
    "failed: no such {object} {id}",
    "failed with status {code}",
    "exceeded its quota of {num} MB",
    "is locked by user {user}",
    "returned malformed data at offset {num}",
    "lost its lease on {host} at {time}",
    "has version {num}, expected {num}",
    "could not be found in {path}",
    "was cancelled for {user} on {host}",
    "missed its deadline {time}",
)
_USERS = ("alice", "bob", "carol", "dmitri", "eszter", "farid", "grace", "hiro", "ines", "jonas")
TOOLS = ("book", "search", "pay", "ship", "refund", "report", "sync", "index")


@dataclass(frozen=True, slots=True)
class Kind:
    """One kind of failure: what its messages look like, and whose they are."""

    number: int
    tool: str
    form: str

    def message(self, chance: random.Random) -> str:
        """A message of this kind with other values."""
        return self.form.format(
            num=chance.randrange(10_000),
            id=f"{chance.choice('abcdef')}{chance.randrange(10**7)}_{chance.randrange(100)}",
            host=f"10.{chance.randrange(256)}.{chance.randrange(256)}.{chance.randrange(256)}:{chance.randrange(9000)}",
            path=f"/srv/{chance.randrange(100)}/{chance.randrange(10**6):x}.json",
            time=f"2025-03-{chance.randrange(10, 29)}T0{chance.randrange(10)}:15:{chance.randrange(10, 60)}Z",
            user=chance.choice(_USERS),
        )


def kinds(count: int) -> Iterator[Kind]:
    """As many kinds, all different, the same in every run; names of parts make them as many as are wanted."""
    for number in range(count):
        rest, action = divmod(number, len(_ACTIONS))
        rest, about = divmod(rest, len(_OBJECTS))
        rest, wrong = divmod(rest, len(_WRONG))
        part = _letters(rest) if rest else "core"
        other = _OBJECTS[(about + rest) % len(_OBJECTS)]
        said = _WRONG[wrong].replace("{object}", other).replace("{code}", str(400 + number % 120))
        form = f"{part}: {_ACTIONS[action]} {_OBJECTS[about]} {said}"
        yield Kind(number, TOOLS[number % len(TOOLS)], form)


def _letters(number: int) -> str:
    """A name of a part, such as "partbca"."""
    said = ""
    while number:
        number, letter = divmod(number, 26)
        said += chr(97 + letter)
    return f"part{said}"
