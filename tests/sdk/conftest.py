"""Clients that tests open are closed after them."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from .loopback import opened


@pytest.fixture(autouse=True)
def closed() -> Iterator[None]:
    yield
    while opened:
        opened.pop().close()
