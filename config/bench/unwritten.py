"""The product without its ledger: BENCH_LEDGER=off leaves it out of a process of the bench."""

from __future__ import annotations

import os
from collections.abc import Iterable
from typing import Any

from governance import ledger
from governance.ledger import entries


def has_ledger() -> bool:
    """Whether this process is to write entries."""
    return os.environ.get("BENCH_LEDGER") != "off"


def leave_out_the_ledger() -> None:
    """From here on this process writes no entries: what all of it would cost without them."""

    def nothing(wanted: Iterable[Any]) -> list[str]:
        return ["" for _ in wanted]

    # ``append`` finds ``append_all`` in its own module.
    ledger.append_all = entries.append_all = nothing  # type: ignore[assignment]
