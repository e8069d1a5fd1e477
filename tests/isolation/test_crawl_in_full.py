"""The crawl in full: all seven, every method, every type of id in every place, every list, filter, link and form.

Takes an hour for all three, so it is left out by default: ``pytest -m crawl tests/isolation``.
"""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext

import pytest

from .crawl import SURFACES, crawl
from .layers import without_managers
from .logins import without_row_security
from .probes import FULL
from .test_crawl import holds
from .world import World

pytestmark = pytest.mark.crawl

LAYERS: dict[str, Callable[[], AbstractContextManager[None]]] = {
    "all layers": nullcontext,
    "row-level security alone": without_managers,
    "managers alone": without_row_security,
}


@pytest.fixture(autouse=True)
def patient(monkeypatch: pytest.MonkeyPatch) -> None:
    """In an hour of a busy machine a check waits too long once: it closes the connection, and the crawl goes with it."""
    monkeypatch.setattr("governance.readiness.CHECK_SECONDS", 60.0)
    monkeypatch.setattr("config.checks.database.ANSWER_SECONDS", 60.0)


@pytest.mark.parametrize("surface", SURFACES)
@pytest.mark.parametrize("layers", LAYERS)
def test_nothing_of_another_tenant_comes_through(both: World, layers: str, surface: str) -> None:
    with LAYERS[layers]():
        result = crawl(both, FULL, [surface])
    print(f"{surface}, {layers}: {result.told()}, {len(result.own)} canaries of its own")  # noqa: T201
    holds(result, requests=5_000, own=30)
