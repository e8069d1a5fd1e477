"""``bench ledger``: the product beside itself without a ledger, in interleaved rounds.

With: an entry for what the loop did, in its transaction, numbered and signed beside it by notary and signer, as in
production. Without: the same program whose entries are dropped before anything is made of them. Measured twice: loops
that wait in the queue, where nothing else is at work, and loops as 16 clients report them over HTTP.
"""

from __future__ import annotations

import os
import secrets
import statistics
from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Any

from django.conf import settings

from governance.models import Tenant

from .loops import Say, figures_of, middle_of, ours
from .race import BenchError, Lap, Observer, Racer, finished, run_round, started
from .reports import report_all, site, token_of
from .tampered import signing

WANTED = {"queued": 0.85, "at_16_clients": 0.85}
CLIENTS = 16
# The web, the workers, PostgreSQL and the clients share the machine: a single round lies a fifth off either way.
ROUNDS = 9
ENTRIES = "public.governance_ledgerentry"


def compare(tenant: Tenant, *, loops: int, rounds: int, say: Say) -> dict[str, Any]:
    """Loops per second with the ledger divided by those without; CPU of a loop, of either."""
    token = token_of(tenant)
    with signing(), Observer(tenant.id) as observer:
        racers = _racers(tenant)

        def queued(racer: Racer) -> float:
            lap = run_round(racer, observer, warm=max(20, loops // 10), loops=loops)
            _check_entries(racer.name, lap)
            laps[racer.name].append(lap)
            return lap.loops / lap.seconds

        def at_clients(racer: Racer) -> float:
            return _reported(racer, observer, token, loops)

        laps: dict[str, list[Lap]] = {name: [] for name in racers}
        speeds = {
            "queued": _in_turns(racers, queued, rounds, "queued", say),
            "at_16_clients": _in_turns(racers, at_clients, rounds, "16 clients", say),
        }
    middle = {name: middle_of(each) for name, each in laps.items()}
    ratios = {name: _ratio(each) for name, each in speeds.items()}
    return {
        "loops": loops,
        "rounds": rounds,
        "systems": {name: figures_of(middle[name], laps[name]) for name in racers},
        "loops_per_second_at_16_clients": {
            name: [round(each, 1) for each in found]
            for name, found in speeds["at_16_clients"].items()
        },
        "ratios": ratios,
        "wanted": WANTED,
        "failed": [name for name, ratio in ratios.items() if ratio < WANTED[name]],
    }


def _ratio(speeds: Mapping[str, list[float]]) -> float:
    """The median of the rounds' ratios: a machine is faster in one minute than in the next, and a round is short."""
    rounds = zip(speeds["with"], speeds["without"], strict=True)
    return round(statistics.median(on / off for on, off in rounds), 3)


def _in_turns(
    racers: Mapping[str, Racer],
    measure: Callable[[Racer], float],
    rounds: int,
    what: str,
    say: Say,
) -> dict[str, list[float]]:
    """Loops per second of each, a figure a round. Whoever goes first finds less in the tables: take turns."""
    speeds: dict[str, list[float]] = {name: [] for name in racers}
    for number in range(1, rounds + 1):
        for name in list(racers)[:: 1 if number % 2 else -1]:
            speeds[name].append(measure(racers[name]))
            say(f"round {number}, {what}: {name:<8} {speeds[name][-1]:8.1f} loops/s")
    return speeds


def _reported(racer: Racer, observer: Observer, token: str, loops: int) -> float:
    """Loops per second from the first report to the end of the last loop, each begun by a client's report."""
    series = secrets.token_hex(4)
    with site(environ=racer.environ) as address, started(racer) as sweepers:
        for sweeper in sweepers:
            sweeper.ask("go")
        warm = max(CLIENTS, loops // 10)
        before, _ = observer.one(racer.finished)
        report_all(address, token, f"warm {series}", warm, clients=CLIENTS)
        finished(racer, observer, before + warm)
        observer.tidy()
        since = observer.now()
        report_all(address, token, series, loops, clients=CLIENTS)
        ended = finished(racer, observer, before + warm + loops)
        for sweeper in sweepers:
            sweeper.ask("stop")
    return loops / (ended - since).total_seconds()


def _racers(tenant: Tenant) -> dict[str, Racer]:
    base = ours(tenant)
    place = {"ANTIBODY_LEDGER_DIR": str(settings.LEDGER_DIR)}
    return {
        name: replace(
            base, name=name, environ={**os.environ, **base.environ, **place, "BENCH_LEDGER": mode}
        )
        for name, mode in (("with", "on"), ("without", "off"))
    }


def _check_entries(name: str, lap: Lap) -> None:
    """Both must be what they say."""
    written = lap.rows.get(ENTRIES, 0)
    if (written == 0) != (name == "without"):
        raise BenchError(f"{name} the ledger, {written} entries were written.")
