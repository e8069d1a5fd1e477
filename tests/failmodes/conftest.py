"""One product for all that breaks it: it takes longer to start than most of what is done to it."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from .product import Product, running, until
from .trying import Trying


@pytest.fixture(scope="session")
def product() -> Iterator[Product]:
    with running() as product, Trying(product) as trying:
        until(lambda: trying.ready().status_code == 200, 60)
        idle = {"agent_id": "idle", "run_id": "r", "action": {"tool": "search"}}
        assert trying.post(trying.agent, "guard/decisions", idle).status_code == 200
        yield product
