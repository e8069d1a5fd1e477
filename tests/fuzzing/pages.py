"""What the API's own description leaves out (console, admin, entrances, the stream), with anything in every place."""

from __future__ import annotations

import random
import re
import time
from collections import Counter
from collections.abc import Sequence
from urllib.parse import quote

import httpx

from config.doors import readable
from config.isolation import Route, routes
from tests.config.hostile import VALUES

from .fuzzing import OFTEN, Outcome
from .site import Site

# Left out, because what comes after them would be refused: they end the session, or change its password.
ENDS_THE_SESSION = {"admin:logout", "admin:password_change", "admin:password_change_done"}
QUERY = (
    "q", "p", "o", "e", "cursor", "limit", "state", "agent", "agent_id", "trace", "gesture", "id__in", "created_at__gte",
    "app_label", "model_name", "field_name", "term", "_popup", "_to_field", "_changelist_filters", "next", "fresh", "all",
)  # fmt: skip
FORM = (
    "reason", "name", "slug", "role", "user", "digest", "action", "_selected_action", "select_across", "_save", "_confirm",
    "minutes", "on", "agent_id", "condition", "kind", "params", "declared_confidence", "tenant", "username", "password",
    "form-TOTAL_FORMS", "form-INITIAL_FORMS", "form-0-id", "created_at_0", "created_at_1",
)  # fmt: skip
MOST_FIELDS = 6
HEAD_SECONDS = 15.0  # until an answer begins; a stream's does at once, and is not followed


def fuzz_pages(site: Site, *, seconds: float, seed: int | None) -> Outcome:
    """GET and POST at each address in turn as the admin's browser, until the time is over."""
    rng, outcome, ends = random.Random(seed), Outcome(), time.monotonic() + seconds
    ids = [each for found in site.ids().values() for each in found]
    with httpx.Client(
        base_url=site.url, headers=site.headers("pages"), timeout=HEAD_SECONDS
    ) as browser:
        while time.monotonic() < ends:
            for method, route in _in_some_order(rng):
                address = _address(rng, route, ids)
                request = browser.build_request(
                    method, address, params=_fields(rng, QUERY, ids),
                    data=_fields(rng, FORM, ids) if method == "POST" else None,
                )  # fmt: skip
                answer = browser.send(request, stream=True)
                answer.close()
                _note(outcome, f"{method} {readable(route.address)}", answer, request)
                if time.monotonic() >= ends:
                    break
    return outcome


def _in_some_order(rng: random.Random) -> list[tuple[str, Route]]:
    found = [
        (method, route)
        for route in routes()
        if route.name not in ENDS_THE_SESSION
        and (route.is_stream or not route.address.startswith("api/v1/"))
        for method in (("GET",) if route.is_stream else ("GET", "POST"))
    ]
    rng.shuffle(found)
    return found


def _address(rng: random.Random, route: Route, ids: Sequence[str]) -> str:
    """``admin/incidents/incident/<path:object_id>/`` with something in its places."""
    plain = re.sub(r"<(?:\w+:)?(\w+)>", r"{\1}", readable(route.address))
    return "/" + re.sub(r"\{\w+\}", lambda _: quote(_text(rng, ids), safe="") or "x", plain)


def _fields(rng: random.Random, names: Sequence[str], ids: Sequence[str]) -> dict[str, str]:
    chosen = rng.sample(names, rng.randrange(MOST_FIELDS))
    return {name: _text(rng, ids) for name in chosen}


def _text(rng: random.Random, ids: Sequence[str]) -> str:
    return rng.choice(ids) if rng.random() < OFTEN else str(rng.choice(VALUES))


def _note(outcome: Outcome, operation: str, answer: httpx.Response, request: httpx.Request) -> None:
    outcome.statuses[answer.status_code] += 1
    outcome.by_operation.setdefault(operation, Counter())[answer.status_code] += 1
    if answer.status_code >= httpx.codes.INTERNAL_SERVER_ERROR:
        outcome.failed = True
        outcome.said += (
            f"{answer.status_code}: {request.method} {request.url}\n{request.content[:2_000]!r}\n"
        )
