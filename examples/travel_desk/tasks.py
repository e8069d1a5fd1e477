"""What passengers ask for, and how the desk goes about it when it makes no mistake.

A plan is a generator: it yields the next call, is sent that call's result, and looks at it before
it decides on the next. A plan knows nothing of guards or of mistakes.
"""

from __future__ import annotations

import random
from collections.abc import Generator, Iterator
from dataclasses import dataclass
from typing import Any

from .catalogue import (
    BAG_CENTS,
    FARE_FOR,
    FLIGHT_FOR,
    PASSENGERS,
    REGULARS,
    SKI_BAG_CENTS,
    SKI_ROUTES,
)

CUSTOMER_BY_ID = "SELECT full_name, email FROM customers WHERE customer_id = ?"
CUSTOMER_BY_EMAIL = "SELECT customer_id, full_name FROM customers WHERE email = ?"
TRIPS = "SELECT COUNT(*) AS trips FROM reservations WHERE customer_id = ?"
LAST_TRIP = (
    "SELECT reservation_id, flight_number FROM reservations"
    " WHERE customer_id = ? AND state = 'paid' ORDER BY reservation_id DESC LIMIT 1"
)
LATEST_SALES = (
    "SELECT reservation_id, amount_cents FROM payments JOIN reservations USING (reservation_id)"
    " WHERE flight_number = ? AND state = 'paid' AND reason = 'sale'"
    " ORDER BY reservation_id DESC LIMIT 4"
)
STATES = "SELECT state, COUNT(*) AS reservations FROM reservations GROUP BY state"
LATEST_PAID = (
    "SELECT reservation_id FROM reservations WHERE state = 'paid'"
    " ORDER BY reservation_id DESC LIMIT 2"
)


@dataclass(frozen=True)
class Call:
    """One tool call: what the guard is asked about, and what is then done."""

    tool: str
    arguments: dict[str, Any]


Plan = Generator[Call, Any, None]


@dataclass(frozen=True)
class Task:
    """One request of one passenger. ``plan`` has not begun."""

    title: str
    passenger: str
    plan: Plan


def a_day_of(rng: random.Random, size: int) -> Iterator[Task]:
    """The requests of one day, the same for the same seed."""
    for _ in range(size):
        (kind,) = rng.choices((_booking, _ski_trip, _quote, _status, _refund, _audit), MIX)
        yield kind(rng)


MIX = (27, 13, 20, 18, 12, 10)  # per cent, in the order above


def book(customer: tuple[str, str, str], route: str, fare_code: str, bag_cents: int) -> Plan:
    customer_id, name, email = customer
    by_email = bag_cents == 0  # who sends no bag mostly wrote by e-mail
    yield sql(CUSTOMER_BY_EMAIL, email) if by_email else sql(CUSTOMER_BY_ID, customer_id)
    fare = yield Call("fare_lookup", {"route": route, "fare_code": fare_code})
    booking = {"customer_id": customer_id, "flight_number": FLIGHT_FOR[route]}
    reservation_id = yield Call("book_flight", {**booking, "fare_code": fare_code, "seats": 1})
    total = {"total_cents": fare["fare_cents"] + fare["tax_cents"] + bag_cents}
    amounts = {**fare, "bag_cents": bag_cents, **total}
    yield Call("take_payment", {"reservation_id": reservation_id, **amounts})
    voucher = {"reservation": reservation_id, "passenger": name, "route": route}
    where = {"folder": "issued", "name": f"{reservation_id}.json"}
    yield Call("write_voucher", {**where, "content": voucher})


def quote(customer_id: str, route: str, windows: list[int], fare_codes: list[str]) -> Plan:
    yield sql(TRIPS, customer_id)
    for days in windows:
        yield Call("fare_search", {"route": route, "days": days})
    for fare_code in fare_codes:
        yield Call("fare_lookup", {"route": route, "fare_code": fare_code})


def status(customer_id: str) -> Plan:
    for trip in (yield sql(LAST_TRIP, customer_id)):
        yield Call("flight_status", {"flight_number": trip["flight_number"]})
        yield voucher_of(trip["reservation_id"])


def refund(flight_number: str, reason: str) -> Plan:
    """Everybody on a cancelled flight gets the fare back.

    After a delay, or as a gesture, a part of it.
    """
    for sale in (yield sql(LATEST_SALES, flight_number)):
        share = 100 if reason == "cancelled" else 20
        amount_cents = sale["amount_cents"] * share // 100
        amount = {"reservation_id": sale["reservation_id"], "amount_cents": amount_cents}
        yield Call("record_refund", {**amount, "reason": reason})


def audit() -> Plan:
    yield sql(STATES)
    for paid in (yield sql(LATEST_PAID)):
        yield voucher_of(paid["reservation_id"])


def sql(statement: str, *params: Any) -> Call:
    return Call("sql_query", {"sql": statement, "params": list(params)})


def voucher_of(reservation_id: str) -> Call:
    return Call("read_voucher", {"folder": "issued", "name": f"{reservation_id}.json"})


def _booking(rng: random.Random) -> Task:
    customer, route = _somebody(rng), _route(rng)
    (fare_code,) = rng.choices(("Y-LIGHT", "Y-FLEX", "C-FLEX"), (40, 35, 25))
    plan = book(customer, route, fare_code, rng.choice((0, BAG_CENTS)))
    return Task(f"{customer[1]} flies {route}, {fare_code}", customer[1], plan)


def _ski_trip(rng: random.Random) -> Task:
    customer, route = _somebody(rng), rng.choice(SKI_ROUTES)
    (bag_cents,) = rng.choices((SKI_BAG_CENTS, 0), (75, 25))
    plan = book(customer, route, "SKI", bag_cents)
    return Task(f"{customer[1]} goes skiing, {route}", customer[1], plan)


def _quote(rng: random.Random) -> Task:
    customer, route = _somebody(rng), _route(rng)
    fare_codes = rng.sample(("Y-LIGHT", "Y-FLEX", "C-FLEX"), 1)
    plan = quote(customer[0], route, rng.sample((3, 7, 14, 30), 2), fare_codes)
    return Task(f"{customer[1]} asks what {route} costs", customer[1], plan)


def _status(rng: random.Random) -> Task:
    customer = rng.choice(REGULARS)
    return Task(f"{customer[1]} asks about the next flight", customer[1], status(customer[0]))


def _refund(rng: random.Random) -> Task:
    flight, reason = (
        FLIGHT_FOR[_route(rng)],
        rng.choice(("cancelled", "delayed", "delayed", "goodwill")),
    )
    return Task(f"{flight} is refunded, {reason}", "the passenger", refund(flight, reason))


def _audit(rng: random.Random) -> Task:
    return Task("the desk checks its books", "the desk", audit())


def _somebody(rng: random.Random) -> tuple[str, str, str]:
    """A passenger; the first of the list ask most often, as regulars do."""
    weights = [1 / rank for rank in range(1, len(PASSENGERS) + 1)]
    (customer,) = rng.choices(PASSENGERS, weights)
    return customer


def _route(rng: random.Random) -> str:
    (route,) = rng.choices(list(FARE_FOR), (50, 15, 15, 10, 10))
    return route
