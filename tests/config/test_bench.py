"""The bench is fair only if everybody does the same work: each program does 20 loops and leaves the right rows."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from config.bench import guards, loops, place, race, rivals, scene
from config.bench.environments import CannotRun
from config.bench.programs.rows import STAGES, rows_of
from governance.models import Tenant

LOOPS = 20
ROWS = 11
BY_THE_WAY = loops.BOOKS - {"public.governance_loopstep"}  # whenever their time comes


@pytest.fixture(scope="module")
def bench(django_db_setup, django_db_blocker) -> Iterator[Tenant]:
    """The bench's own database, with the scene set."""
    with django_db_blocker.unblock(), place.made():
        yield scene.make()


@pytest.fixture
def observer(bench: Tenant) -> Iterator[race.Observer]:
    with race.Observer(bench.id) as observer:
        yield observer


@pytest.mark.parametrize("total", [5, 10, 15, 17, 23])
def test_five_stages_together_write_exactly_the_rows_of_one_loop(total):
    written = [rows_of("inc_1", stage, total) for stage in STAGES]

    assert all(len(rows.effects) == 1 for rows in written)
    assert sum(len(r.effects) + len(r.events) + len(r.entries) for r in written) == total


@pytest.mark.slow
def test_the_product_crosses_every_bridge_once_for_each_loop(bench, observer):
    lap = race.run_round(loops.ours(bench), observer, warm=0, loops=LOOPS)

    assert {table: count for table, count in lap.rows.items() if table not in BY_THE_WAY} == {
        "public.catalog_patternmatch": LOOPS,
        "public.recovery_recovery": LOOPS,
        "public.policies_evidence": LOOPS,
        "public.routing_adjustmentevidence": LOOPS,
        "public.governance_loopstep": 4 * LOOPS,  # the first is there when the loop is queued
        "public.governance_loopevent": 6 * LOOPS,  # a stage's each, and recovery_applied
        "public.governance_ledgerentry": LOOPS,
    }
    assert len(lap.spans_ms) == LOOPS
    assert lap.statements > 0


@pytest.mark.slow
@pytest.mark.parametrize("name", loops.RIVALS)
def test_a_rival_writes_as_many_rows_of_effect_as_the_product(name, bench, observer):
    if name == "dbos" and not rivals.dbos_is_installed():
        pytest.skip("DBOS is not installed: `make bench` does that")
    try:
        racer = loops.RIVALS[name](ROWS)
    except CannotRun as why:
        pytest.skip(str(why))

    # A warm lap first: a program must stop when it is told to, and go on in the next.
    lap = race.run_round(racer, observer, warm=LOOPS, loops=LOOPS)

    effects = {table.partition(".")[2]: count for table, count in lap.rows.items()}
    wanted = (5 * LOOPS, 5 * LOOPS, LOOPS)
    assert (effects["effect"], effects["event"], effects["entry"]) == wanted
    assert lap.transactions >= 5 * LOOPS
    assert len(lap.spans_ms) == LOOPS


def test_the_guard_and_the_library_say_the_same_of_the_same_policies(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(guards, "STORED", (50, 200))
    monkeypatch.setattr(guards, "ENGINES", {})
    monkeypatch.setattr(guards, "ROUNDS", 1)
    monkeypatch.setattr(guards, "CALLS", 3)
    found = guards.measure(lambda line: None)
    assert found["ratios"].keys() == guards.WANTED.keys()
    assert all(figure > 0 for figure in found["p50_us"].values())


@pytest.mark.parametrize(
    ("ratios", "missed"),
    [
        ({"to_library": 2.9, "growth": 1.4, "same_tool": 1.1, "to_all": 21.0, "cedarpy": 9.0}, []),
        ({"to_library": 3.1, "growth": 1.4, "same_tool": 1.1, "to_all": 21.0}, ["to_library"]),
        (
            {"to_library": 2.9, "growth": 1.6, "same_tool": 9.0, "to_all": 19.0},
            ["growth", "same_tool", "to_all"],
        ),
        ({"to_library": None, "growth": 1.0, "same_tool": 1.1, "to_all": 21.0}, ["to_library"]),
    ],
)
def test_a_ratio_that_is_not_reached_is_named(
    ratios: dict[str, float | None], missed: list[str]
) -> None:
    assert guards.failed(ratios) == missed
