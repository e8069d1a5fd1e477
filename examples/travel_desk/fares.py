"""The airline's fare service: a real HTTP server on loopback, with prices and limits of its own.

It does not know who calls or why. It answers 404 for what it does not sell, 409 for a full
flight, 422 for sums that do not add up, 429 to too many searches, 503 while it reloads its
prices, and it is slow where the work is long.
"""

from __future__ import annotations

import json
import random
import threading
from collections import Counter, deque
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qs, unquote, urlsplit

from .catalogue import FARE_CODES, FARE_FOR, FLIGHTS, FULL_FLIGHT, SEATS, TAX_CENTS

SEARCHES, WINDOW = 4, 6  # at most so many searches among the last so many requests
RELOAD_EVERY = (40, 70)  # requests between two reloads of the price list, drawn from the seed

Answer = tuple[HTTPStatus, dict[str, Any]]


class Refusal(Exception):
    """An answer that is an error, in the service's own words."""

    def __init__(self, status: HTTPStatus, why: str) -> None:
        super().__init__(why)
        self.status = status


class Airline:
    """What the service knows and decides.

    One request at a time, except for the waiting of long searches.
    """

    def __init__(self, seed: int, seconds_per_day: float) -> None:
        self._rng = random.Random(seed)  # noqa: S311 - reproducible, nothing secret
        self._seconds_per_day = seconds_per_day
        self._lock = threading.Lock()
        self._recent: deque[str] = deque(maxlen=WINDOW)
        self._sold: Counter[str] = Counter()
        self._until_reload = self._rng.randint(*RELOAD_EVERY)
        self._prices: dict[tuple[str, str], int] = {}
        self.closing = threading.Event()
        self._load_prices()

    def new_day(self) -> None:
        """Every flight is empty again, save for the charter's."""
        with self._lock:
            self._sold = Counter({FULL_FLIGHT: SEATS})

    def admit(self, kind: str) -> None:
        """Count a request of a kind.

        Raises Refusal when the service is busy with itself or with this client.
        """
        with self._lock:
            self._until_reload -= 1
            if self._until_reload <= 0:
                self._load_prices()
                raise Refusal(HTTPStatus.SERVICE_UNAVAILABLE, "the price list is being reloaded")
            is_over = kind == "search" and self._recent.count("search") >= SEARCHES
            self._recent.append("refused" if is_over else kind)
        if is_over:
            raise Refusal(HTTPStatus.TOO_MANY_REQUESTS, "too many searches at a time")

    def fare(self, route: str, fare_code: str) -> Answer:
        if (route, fare_code) not in self._prices:
            raise Refusal(HTTPStatus.NOT_FOUND, "unknown fare code")
        fare = self._prices[route, fare_code]
        return HTTPStatus.OK, {"fare_cents": fare, "tax_cents": TAX_CENTS}

    def search(self, route: str, days: int) -> Answer:
        """The cheapest of the next days.

        Each day is priced in turn, so a long window takes long.
        """
        if route not in FARE_FOR:
            raise Refusal(HTTPStatus.NOT_FOUND, "unknown route")
        self.closing.wait(days * self._seconds_per_day)
        prices = [FARE_FOR[route] * (90 + day * 7 % 20) // 100 for day in range(days)]
        return HTTPStatus.OK, {"day": prices.index(min(prices)), "fare_cents": min(prices)}

    def flight(self, number: str) -> Answer:
        for flight, route, departs in FLIGHTS:
            if flight == number:
                return HTTPStatus.OK, {"flight_number": flight, "route": route, "departs": departs}
        raise Refusal(HTTPStatus.NOT_FOUND, "unknown flight number")

    def hold(self, flight_number: str, seats: int) -> Answer:
        self.flight(flight_number)
        with self._lock:
            if self._sold[flight_number] + seats > SEATS:
                raise Refusal(HTTPStatus.CONFLICT, f"{flight_number} is sold out")
            self._sold[flight_number] += seats
        return HTTPStatus.CREATED, {"flight_number": flight_number, "seats": seats}

    def charge(self, fare_cents: int, tax_cents: int, bag_cents: int, total_cents: int) -> Answer:
        due = fare_cents + tax_cents + bag_cents
        if due != total_cents:
            why = f"the total is {total_cents} but fare, tax and bags come to {due}"
            raise Refusal(HTTPStatus.UNPROCESSABLE_ENTITY, why)
        return HTTPStatus.CREATED, {"charged_cents": total_cents}

    def _load_prices(self) -> None:
        self._prices = {
            (route, code): fare * per_cent // 100
            for route, fare in FARE_FOR.items()
            for code, per_cent in FARE_CODES.items()
        }
        self._until_reload = self._rng.randint(*RELOAD_EVERY)


class FareService(ThreadingHTTPServer):
    """The airline behind a socket.

    ``seconds_per_day`` is how long it takes to price one day of a search.
    """

    daemon_threads = True

    def __init__(self, *, seed: int = 7, seconds_per_day: float = 0.004) -> None:
        super().__init__(("127.0.0.1", 0), _Counter)
        self.airline = Airline(seed, seconds_per_day)
        self.airline.new_day()
        self._thread = threading.Thread(target=self.serve_forever, args=(0.05,), daemon=True)

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_port}"

    def open(self) -> FareService:
        self._thread.start()
        return self

    def close(self) -> None:
        self.airline.closing.set()
        self.shutdown()
        self.server_close()
        self._thread.join()

    def handle_error(self, request: Any, client_address: Any) -> None:
        """A client that stopped waiting is its own affair.

        Nothing is printed, the next is served.
        """


class _Counter(BaseHTTPRequestHandler):
    server: FareService

    def do_GET(self) -> None:
        self._answer()

    def do_POST(self) -> None:
        self._answer()

    def log_message(self, format: str, *args: Any) -> None:
        """Quiet: the agent prints its own line for each call."""

    def _answer(self) -> None:
        try:
            status, body = self._route()
        except Refusal as refusal:
            status, body = refusal.status, {"error": str(refusal)}
        except (KeyError, TypeError, ValueError) as garbled:
            status, body = HTTPStatus.BAD_REQUEST, {"error": str(garbled)}
        content = json.dumps(body).encode()
        self.send_response(status)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        self.wfile.write(content)

    def _route(self) -> Answer:
        url, airline = urlsplit(self.path), self.server.airline
        sent = json.loads(self.rfile.read(int(self.headers.get("Content-Length") or 0)) or "{}")
        kind, *rest = unquote(url.path).lstrip("/").split("/")
        airline.admit(kind)
        match self.command, kind:
            case "GET", "fares":
                return airline.fare(*rest)
            case "GET", "search":
                asked = parse_qs(url.query)
                return airline.search(asked["route"][0], int(asked["days"][0]))
            case "GET", "flights":
                return airline.flight(*rest)
            case "POST", "holds":
                return airline.hold(**sent)
            case "POST", "charges":
                return airline.charge(**sent)
        raise Refusal(HTTPStatus.NOT_FOUND, "no such page")
