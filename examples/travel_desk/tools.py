"""The desk's tools.

Each does its work on a real component and lets that component's own error through.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import httpx

from .catalogue import FLIGHT_FOR, REGULARS
from .database import Database

Result = Any


class Toolbox:
    """Everything the agent can do: SQL, fares and bookings over HTTP, voucher files.

    Its database and files live in ``folder``, the fare service answers at ``fares_url``;
    ``patience_s`` is how long a tool waits on that service's socket before it times out.
    """

    def __init__(self, folder: Path, fares_url: str, *, patience_s: float = 1.0) -> None:
        self._vouchers = folder / "vouchers"
        for drawer in ("issued", "legacy"):
            (self._vouchers / drawer).mkdir(parents=True, exist_ok=True)
        self._books = Database(folder / "desk.db")
        # Loopback is not reached through anybody's proxy.
        self._fares = httpx.Client(base_url=fares_url, timeout=patience_s, trust_env=False)
        self._tools: dict[str, Callable[..., Result]] = {
            "sql_query": self.sql_query,
            "fare_lookup": self.fare_lookup,
            "fare_search": self.fare_search,
            "flight_status": self.flight_status,
            "book_flight": self.book_flight,
            "take_payment": self.take_payment,
            "record_refund": self.record_refund,
            "read_voucher": self.read_voucher,
            "write_voucher": self.write_voucher,
        }
        self._settle_in()

    def run(self, tool: str, arguments: Mapping[str, Any]) -> Result:
        """Use a tool. Raises what the component behind it raises; KeyError when there is none."""
        return self._tools[tool](**arguments)

    def sql_query(self, sql: str, params: Sequence[Any] = ()) -> list[dict[str, Any]]:
        return self._books.query(sql, params)

    def fare_lookup(self, route: str, fare_code: str) -> Result:
        return self._ask("GET", f"/fares/{route}/{fare_code}")

    def fare_search(self, route: str, days: int) -> Result:
        return self._ask("GET", "/search", params={"route": route, "days": days})

    def flight_status(self, flight_number: str) -> Result:
        return self._ask("GET", f"/flights/{flight_number}")

    def book_flight(self, customer_id: str, flight_number: str, fare_code: str, seats: int) -> str:
        """Hold the seats at the airline, then write the reservation; returns its id."""
        self._ask("POST", "/holds", json={"flight_number": flight_number, "seats": seats})
        return self._books.reserve(customer_id, flight_number, fare_code, seats)

    def take_payment(self, reservation_id: str, **amounts: int) -> Result:
        """Charge ``fare_cents``, ``tax_cents`` and ``bag_cents``, which come to ``total_cents``."""
        charge = self._ask("POST", "/charges", json=amounts)
        self._books.pay(reservation_id, amounts["total_cents"])
        return charge

    def record_refund(self, reservation_id: str, amount_cents: int, reason: str) -> None:
        self._books.refund(reservation_id, amount_cents, reason)

    def read_voucher(self, folder: str, name: str) -> Result:
        return json.loads((self._vouchers / folder / name).read_text())

    def write_voucher(self, folder: str, name: str, content: Mapping[str, Any]) -> None:
        """Write a voucher once: an issued voucher is never overwritten.

        Lisbon's old printer still wants text as well.
        """
        with (self._vouchers / folder / name).open("x") as file:
            json.dump(content, file)
        if content["route"].startswith("LIS"):
            (self._vouchers / "legacy" / name).write_text(f"VOUCHER FOR {content['passenger']}")

    def close(self) -> None:
        self._fares.close()
        self._books.close()

    def _ask(self, method: str, path: str, **request: Any) -> Result:
        answer = self._fares.request(method, path, **request)
        if answer.is_error:
            why = f"{answer.status_code} {answer.reason_phrase}: {answer.json()['error']}"
            raise httpx.HTTPStatusError(why, request=answer.request, response=answer)
        return answer.json()

    def _settle_in(self) -> None:
        """The regulars' last trips are on the books, with a voucher each."""
        if self._books.query("SELECT 1 FROM reservations LIMIT 1"):
            return
        for (customer_id, name, _), (route, flight) in zip(
            REGULARS, FLIGHT_FOR.items(), strict=False
        ):
            reservation_id = self._books.reserve(customer_id, flight, "Y-FLEX", 1)
            self._books.pay(reservation_id, 15000)
            voucher = {"reservation": reservation_id, "passenger": name, "route": route}
            self.write_voucher("issued", f"{reservation_id}.json", voucher)


def is_transient(error: Exception) -> bool:
    """Whether the same call may well go through a moment later."""
    if isinstance(error, httpx.HTTPStatusError):
        return error.response.status_code in {429, 503}
    return isinstance(error, httpx.TransportError)
