"""Who goes first where processes share cores: people and agents wait for answers, nobody waits for a sweeper."""

from __future__ import annotations

import os
from contextlib import suppress
from pathlib import Path

# Of -20 to 19; enough that a busy sweeper leaves nearly all of a contested core to the web.
NICE = 15


def give_way() -> None:
    """Let every other process go before this one, for as long as it lives.

    Where Linux weighs sessions instead of processes (autogroup, the usual setting outside containers), the
    session says so too, or being nice would only count among its own.
    """
    os.nice(NICE - os.nice(0))
    with suppress(OSError):
        if os.getsid(0) == os.getpid():
            Path("/proc/self/autogroup").write_text(str(NICE))
