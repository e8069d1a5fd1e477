"""The desk's own books: one SQLite file whose constraints do the refusing."""

from __future__ import annotations

import sqlite3
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from .catalogue import FLIGHTS, PASSENGERS

SCHEMA = """
CREATE TABLE IF NOT EXISTS customers (
    customer_id TEXT PRIMARY KEY CHECK (customer_id GLOB 'C[0-9][0-9][0-9]'),
    full_name   TEXT NOT NULL,
    email       TEXT NOT NULL UNIQUE
);
CREATE TABLE IF NOT EXISTS flights (
    flight_number TEXT PRIMARY KEY CHECK (flight_number GLOB 'AU[0-9][0-9][0-9]'),
    route         TEXT NOT NULL CHECK (route GLOB '[A-Z][A-Z][A-Z]-[A-Z][A-Z][A-Z]'),
    departs       TEXT NOT NULL
);
CREATE TABLE IF NOT EXISTS reservations (
    reservation_id TEXT PRIMARY KEY,
    customer_id    TEXT NOT NULL REFERENCES customers,
    flight_number  TEXT NOT NULL REFERENCES flights,
    fare_code      TEXT NOT NULL,
    seats          INTEGER NOT NULL CONSTRAINT one_to_six_seats CHECK (seats BETWEEN 1 AND 6),
    state          TEXT NOT NULL CONSTRAINT known_state
                   CHECK (state IN ('held', 'paid', 'refunded'))
);
CREATE TABLE IF NOT EXISTS payments (
    payment_id     INTEGER PRIMARY KEY,
    reservation_id TEXT NOT NULL REFERENCES reservations,
    amount_cents   INTEGER NOT NULL CHECK (amount_cents <> 0),
    reason         TEXT NOT NULL CONSTRAINT known_reason
                   CHECK (reason IN ('sale', 'cancelled', 'delayed', 'goodwill'))
);
"""


class Database:
    """The file and two ways into it.

    One that may write, and a read-only one for the agent's own SQL.
    """

    def __init__(self, path: Path) -> None:
        self._books = sqlite3.connect(path)
        self._books.execute("PRAGMA foreign_keys = ON")
        self._books.executescript(SCHEMA)
        with self._books:
            self._books.executemany("INSERT OR IGNORE INTO customers VALUES (?, ?, ?)", PASSENGERS)
            self._books.executemany("INSERT OR IGNORE INTO flights VALUES (?, ?, ?)", FLIGHTS)
        self._reader = sqlite3.connect(f"{path.resolve().as_uri()}?mode=ro", uri=True)
        self._reader.row_factory = sqlite3.Row

    def query(self, sql: str, params: Sequence[Any] = ()) -> list[dict[str, Any]]:
        """Run one statement of the agent's. Raises whatever SQLite makes of it."""
        return [dict(row) for row in self._reader.execute(sql, params).fetchall()]

    def reserve(self, customer_id: str, flight_number: str, fare_code: str, seats: int) -> str:
        """Hold seats; returns the reservation's id, R00001 onwards."""
        with self._books:
            (taken,) = self._books.execute("SELECT COUNT(*) FROM reservations").fetchone()
            reservation_id = f"R{taken + 1:05d}"
            self._books.execute(
                "INSERT INTO reservations VALUES (?, ?, ?, ?, ?, 'held')",
                (reservation_id, customer_id, flight_number, fare_code, seats),
            )
        return reservation_id

    def pay(self, reservation_id: str, amount_cents: int) -> None:
        with self._books:
            self._enter(reservation_id, amount_cents, "sale")
            self._move(reservation_id, "paid")

    def refund(self, reservation_id: str, amount_cents: int, reason: str) -> None:
        """Pay money back; only a cancelled trip is over with it."""
        with self._books:
            self._enter(reservation_id, -amount_cents, reason)
            if reason == "cancelled":
                self._move(reservation_id, "refunded")

    def close(self) -> None:
        self._reader.close()
        self._books.close()

    def _enter(self, reservation_id: str, amount_cents: int, reason: str) -> None:
        self._books.execute(
            "INSERT INTO payments (reservation_id, amount_cents, reason) VALUES (?, ?, ?)",
            (reservation_id, amount_cents, reason),
        )

    def _move(self, reservation_id: str, state: str) -> None:
        self._books.execute(
            "UPDATE reservations SET state = ? WHERE reservation_id = ?", (state, reservation_id)
        )
