"""``bench ledger``: the product beside itself without a ledger, in interleaved rounds.

With: an entry for every stage in the loop's transaction, numbered and signed beside it by notary and signer, as in
production. Without: the same program whose entries are dropped before anything is made of them.
"""

from __future__ import annotations

import os
import statistics
from dataclasses import replace
from typing import Any

from django.conf import settings

from governance.models import Tenant

from .loops import Say, figures_of, middle_of, ours
from .race import BenchError, Lap, Observer, Racer, run_round
from .tampered import signing

WANTED = {"ledger": 0.85}
ENTRIES = "public.governance_ledgerentry"


def compare(tenant: Tenant, *, loops: int, rounds: int, say: Say) -> dict[str, Any]:
    """Loops per second with the ledger divided by those without; CPU of a loop, of either."""
    laps: dict[str, list[Lap]] = {"with": [], "without": []}
    with signing(), Observer(tenant.id) as observer:
        racers = _racers(tenant)
        for number in range(1, rounds + 1):
            # Whoever goes first finds less in the tables: take turns.
            for name in list(racers)[:: 1 if number % 2 else -1]:
                lap = run_round(racers[name], observer, warm=max(20, loops // 10), loops=loops)
                _check_entries(name, lap)
                laps[name].append(lap)
                say(f"round {number}: {name:<8} {lap.loops / lap.seconds:8.1f} loops/s")
    middle = {name: middle_of(each) for name, each in laps.items()}
    ratio = round(_median(laps["with"]) / _median(laps["without"]), 3)
    return {
        "loops": loops,
        "rounds": rounds,
        "systems": {name: figures_of(middle[name], laps[name]) for name in racers},
        "ratios": {"ledger": ratio},
        "wanted": WANTED,
        "failed": ["ledger"] if ratio < WANTED["ledger"] else [],
    }


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


def _median(laps: list[Lap]) -> float:
    return statistics.median(lap.loops / lap.seconds for lap in laps)
