"""Run the travel desk against a running Antibody.

``python -m examples.travel_desk --api URL --token T``.
"""

from __future__ import annotations

import argparse
import itertools
import json
import os
import random
import signal
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import closing, nullcontext
from datetime import UTC, datetime
from pathlib import Path

from antibody_guard import Guard, NotAllowed

from .desk import Desk
from .fares import FareService
from .habits import Habits
from .tally import Tally, summary
from .tasks import Task, a_day_of
from .tools import Toolbox

TASKS_A_DAY = 60


def main(argv: list[str] | None = None) -> int:
    """0 when all tasks were worked on, 1 when Antibody could not be asked."""
    options = _options(argv)
    signal.signal(
        signal.SIGTERM, signal.default_int_handler
    )  # closed like by Ctrl-C: with its figures
    place = nullcontext(options.folder) if options.folder else tempfile.TemporaryDirectory()
    with (
        place as folder,
        closing(FareService(seed=options.seed).open()) as fares,
        closing(Toolbox(Path(folder), fares.url)) as tools,
    ):
        return Opening(options, tools, fares).work()


class Opening:
    """The desk from opening to closing time: its days, its pace and its figures."""

    def __init__(self, options: argparse.Namespace, tools: Toolbox, fares: FareService) -> None:
        self._options, self._fares = options, fares
        self._total, self._by_day = Tally(), [Tally()]
        self._next_call, self._in_a_rush = time.monotonic(), options.rush
        self._guard = Guard(
            options.api,
            options.token,
            agent_id="travel-desk",
            deadline_s=None if options.forever else 60.0,
            wait=self._wait_for_guard,
        )
        # A run id is used once: the same seed opened again works the same day, in runs of its own.
        opened = datetime.now(UTC).strftime("%m%d%H%M%S")
        self._desk = Desk(
            self._guard,
            tools,
            Habits(options.seed),
            run_prefix=f"desk-{options.seed}-{opened}",
            begin_call=self._keep_pace,
            pause=time.sleep,
            say=_say,
        )

    def work(self) -> int:
        status = 0
        try:
            for day in self._days():
                self._fares.airline.new_day()
                self._desk.tallies = [self._total, self._by_day[-1]]
                self._desk.work(day)
                _say(f"\nDay {len(self._by_day)}: {summary(self._by_day[-1].figures())}\n")
                self._by_day.append(Tally())
        except NotAllowed as silence:
            status = 1
            _say(
                f"\nAntibody could not be asked ({silence}): nothing more is done, the desk closes."
            )
        except KeyboardInterrupt:
            _say("\nThe desk closes.")
        finally:
            self._guard.close()
        self._say_figures()
        return status

    def _days(self) -> Iterator[Iterator[Task]]:
        """Days of 60 tasks each.

        With --tasks the last may be shorter, with --forever there is no last.
        """
        left = None if self._options.forever else self._options.tasks
        for number in itertools.count(1):
            size = TASKS_A_DAY if left is None else min(TASKS_A_DAY, left)
            if not size:
                return
            yield a_day_of(random.Random(f"{self._options.seed}:{number}"), size)  # noqa: S311
            left = None if left is None else left - size

    def _keep_pace(self) -> None:
        if self._in_a_rush:
            self._in_a_rush -= 1
            self._next_call = time.monotonic()
        elif self._options.speed > 0:
            time.sleep(max(0.0, self._next_call - time.monotonic()))
            self._next_call = time.monotonic() + 1 / self._options.speed

    def _wait_for_guard(self, seconds: float, why: str) -> None:
        self._total.count("unanswered")
        self._by_day[-1].count("unanswered")
        _say(
            f"  Antibody: {why}. Nothing is done without its answer; asking again in {seconds:.1g} s"
        )
        time.sleep(seconds)

    def _say_figures(self) -> None:
        days = [day.figures() for day in self._by_day]
        figures = self._total.figures() | {"by_day": [day for day in days if day["calls"]]}
        _say(f"\nIn all: {summary(figures)}")
        if self._options.json:
            _say(json.dumps(figures))


def _options(argv: list[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m examples.travel_desk", description=__doc__)
    parser.add_argument(
        "--api", required=True, help="http://host:port, or the full base http://host:port/api/v1/"
    )
    parser.add_argument(
        "--token",
        default=os.environ.get("ANTIBODY_TOKEN"),
        help="an agent's token (or ANTIBODY_TOKEN, which other users of the machine cannot read)",
    )
    parser.add_argument("--seed", type=int, default=7, help="which days and which mistakes (7)")
    parser.add_argument(
        "--speed", type=float, default=1.0, help="calls a second (1.0); 0: as fast as it goes"
    )
    parser.add_argument(
        "--rush",
        type=int,
        default=0,
        help="calls made as fast as they go before that pace is kept (0), so that there is a past",
    )
    parser.add_argument(
        "--tasks", type=int, default=TASKS_A_DAY, help=f"how many ({TASKS_A_DAY}: one day)"
    )
    parser.add_argument("--forever", action="store_true", help="day after day, until stopped")
    parser.add_argument(
        "--folder", type=Path, help="where its database and files live (default: temporary)"
    )
    parser.add_argument(
        "--json", action="store_true", help="the figures as one JSON object, the last line"
    )
    options = parser.parse_args(argv)
    if not options.token:
        parser.error("an agent's token is needed: --token, or ANTIBODY_TOKEN")
    return options


def _say(line: str) -> None:
    print(line, flush=True)


if __name__ == "__main__":
    sys.exit(main())
