"""The mistakes this agent makes: a few habits, each with its own way of getting a call wrong.

The agent starts every task with a fresh mind, as language models do: only a guard that remembers
can stop a habit. What comes of a mistake is up to the component that it reaches; nothing here
knows an error.
"""

from __future__ import annotations

import random
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from .catalogue import FULL_FLIGHT, SKI_BAG_CENTS
from .tasks import Call, Task

REPEATS_ONE_IN = 10  # failed calls that are made once more without thought
Slip = Callable[[Call, Task], dict[str, Any] | None]


@dataclass
class Habit:
    """One way of getting calls wrong.

    ``slip`` gives the arguments that it would change, None where it has no occasion. It strikes at
    one occasion in ``one_in``, at a place that the seed decides.
    """

    name: str
    one_in: int
    slip: Slip
    _deck: list[bool] = field(default_factory=list)

    def strikes(self, rng: random.Random) -> bool:
        if not self._deck:
            self._deck = [True] + [False] * (self.one_in - 1)
            rng.shuffle(self._deck)
        return self._deck.pop()


class Habits:
    """All habits of one agent, and its way of trying a failed call again without thought."""

    def __init__(self, seed: int) -> None:
        # Two sources, so that what was stopped does not shift which mistakes come next.
        self._rng = random.Random(f"{seed}:mistakes")  # noqa: S311 - reproducible, nothing secret
        self._repeating = random.Random(f"{seed}:repeats")  # noqa: S311
        self._habits = [Habit(name, one_in, slip) for name, one_in, slip in HABITS]

    def mistake(self, call: Call, task: Task) -> tuple[str, Call] | None:
        """What the agent does instead of a planned call, with the habit's name.

        None when it gets it right.
        """
        for habit in self._habits:
            changed = habit.slip(call, task)
            if changed is not None and habit.strikes(self._rng):
                return habit.name, Call(call.tool, call.arguments | changed)
        return None

    def repeats(self) -> bool:
        """Whether the agent now does the very same thing again."""
        return self._repeating.randrange(REPEATS_ONE_IN) == 0


def misremembered_column(call: Call, task: Task) -> dict[str, Any] | None:
    """One cause, many shapes: every query with this column in it."""
    return _respelt(call, "customer_id", "custmer_id")


def singular_table(call: Call, task: Task) -> dict[str, Any] | None:
    return _respelt(call, "FROM reservations", "FROM reservation")


def lower_case_code(call: Call, task: Task) -> dict[str, Any] | None:
    code = call.arguments.get("fare_code", "")
    return {"fare_code": code.lower()} if call.tool == "fare_lookup" and "FLEX" in code else None


def name_for_flight(call: Call, task: Task) -> dict[str, Any] | None:
    return {"flight_number": task.passenger} if call.tool == "flight_status" else None


def forgotten_ski_bag(call: Call, task: Task) -> dict[str, Any] | None:
    if call.tool != "take_payment" or call.arguments["bag_cents"] != SKI_BAG_CENTS:
        return None
    return {"total_cents": call.arguments["total_cents"] - SKI_BAG_CENTS}


def year_long_search(call: Call, task: Task) -> dict[str, Any] | None:
    return {"days": 365} if call.tool == "fare_search" else None


def full_flight(call: Call, task: Task) -> dict[str, Any] | None:
    to_oslo = call.tool == "book_flight" and call.arguments["flight_number"] == "AU103"
    return {"flight_number": FULL_FLIGHT} if to_oslo else None


def reason_in_own_words(call: Call, task: Task) -> dict[str, Any] | None:
    own = {"cancelled": "passenger request", "goodwill": "passenger request"}
    reason = own.get(call.arguments.get("reason", ""), "flight was late")
    return {"reason": reason} if call.tool == "record_refund" else None


def old_folder(call: Call, task: Task) -> dict[str, Any] | None:
    """The legacy folder has plain text for some reservations, and nothing for the rest."""
    return {"folder": "legacy"} if call.tool == "read_voucher" else None


def folder_for_file(call: Call, task: Task) -> dict[str, Any] | None:
    is_audit = call.tool == "read_voucher" and task.passenger == "the desk"
    return {"name": "."} if is_audit else None


def made_up_folder(call: Call, task: Task) -> dict[str, Any] | None:
    return {"folder": "archive"} if call.tool == "write_voucher" else None


def _respelt(call: Call, right: str, wrong: str) -> dict[str, Any] | None:
    statement = call.arguments.get("sql", "")
    return {"sql": statement.replace(right, wrong)} if right in statement else None


HABITS: tuple[tuple[str, int, Slip], ...] = (
    ("misremembered_column", 14, misremembered_column),
    ("singular_table", 9, singular_table),
    ("lower_case_code", 6, lower_case_code),
    ("name_for_flight", 3, name_for_flight),
    ("forgotten_ski_bag", 2, forgotten_ski_bag),
    ("year_long_search", 8, year_long_search),
    ("full_flight", 2, full_flight),
    ("reason_in_own_words", 5, reason_in_own_words),
    ("old_folder", 6, old_folder),
    ("folder_for_file", 4, folder_for_file),
    ("made_up_folder", 8, made_up_folder),
)
