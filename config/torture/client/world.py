"""The agent's world: calls that go well or badly by rules of its own."""

from __future__ import annotations

import random
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any


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
