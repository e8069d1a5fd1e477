"""Calibration: how sure a match must be before it counts as strong or weak, learned for each pattern from what came of it.

Reliability as in Niculescu-Mizil and Caruana (ICML 2005): matches in bins of their confidence, the confidence that
was predicted against the share that turned out right. The thresholds follow the design's table of numbers.
"""

import math
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime
from statistics import fmean, pstdev

from governance.rules import wilson_interval

OUTCOMES_NEEDED = 10
STRONG_RIGHT = 0.90
WEAK_RIGHT = 0.70
STRONG_BOUNDS = (0.70, 0.95)
WEAK_BOUNDS = (0.50, 0.70)
STEPS_IN_ONE = 100
"""Thresholds are whole hundredths."""
JUMP_SIGMAS = 2.0
LATEST = 10
"""Outcomes whose error is compared with that of all before them."""
LEAST_SIGMA = 0.05
"""Of an error that hardly varied: without it, any difference at all would be a jump."""
BINS = 10
LOWEST_BIN = 0.50


@dataclass(frozen=True)
class Judged:
    """One match whose outcome is known: how sure it was (0 to 1), and whether it was right."""

    confidence: float
    is_right: bool
    at: datetime

    @property
    def error(self) -> float:
        """How far off the confidence was, 0 to 1."""
        return abs(self.confidence - self.is_right)


@dataclass(frozen=True)
class Thresholds:
    """Strong above ``strong``, weak from ``weak`` on."""

    strong: float
    weak: float


@dataclass(frozen=True)
class Bin:
    """The matches of one range of confidence: what was predicted and what was confirmed, with Wilson's interval."""

    start: float
    end: float
    count: int
    predicted: float
    confirmed: float
    low: float
    high: float


def calibrated(judged: Sequence[Judged], now: Thresholds) -> Thresholds:
    """The thresholds that the outcomes ask for; those of now with fewer than ten.

    The lowest strong threshold above which at least 90 % were right, within 0.70 to 0.95, and the lowest weak one from
    which on at least 70 % were, within 0.50 to 0.70; the upper bound where none is. A threshold is never lowered
    to where nothing was observed. An exact match is no question of thresholds: leave those out before asking.
    """
    if len(judged) < OUTCOMES_NEEDED:
        return now
    lowest = min(one.confidence for one in judged)
    strong = _lowest(
        STRONG_BOUNDS,
        min(now.strong, lowest - 1 / STEPS_IN_ONE),
        lambda bar: [one.is_right for one in judged if one.confidence > bar],
        STRONG_RIGHT,
    )
    weak = _lowest(
        WEAK_BOUNDS,
        min(now.weak, lowest),
        lambda bar: [one.is_right for one in judged if one.confidence >= bar],
        WEAK_RIGHT,
    )
    return Thresholds(now.strong if strong is None else strong, now.weak if weak is None else weak)


def has_jumped(judged: Iterable[Judged]) -> bool:
    """Whether the error of the ten latest outcomes is more than two standard errors above that of all before them.

    Then something has changed that the thresholds must not follow yet. Needs ten outcomes before the latest ten.
    """
    errors = [one.error for one in sorted(judged, key=lambda one: one.at)]
    before, latest = errors[:-LATEST], errors[-LATEST:]
    if len(before) < OUTCOMES_NEEDED:
        return False
    sigma = max(LEAST_SIGMA, pstdev(before)) / math.sqrt(LATEST)
    return fmean(latest) > fmean(before) + JUMP_SIGMAS * sigma


def bins(judged: Iterable[Judged]) -> list[Bin]:
    """The reliability of the confidences from 0.50 to 1, in ten bins; those without a match are left out."""
    width = (1 - LOWEST_BIN) / BINS
    groups: dict[int, list[Judged]] = {}
    for one in judged:
        if one.confidence >= LOWEST_BIN:
            at = min(BINS - 1, int((one.confidence - LOWEST_BIN) / width + 1e-9))
            groups.setdefault(at, []).append(one)
    return [_bin(LOWEST_BIN + at * width, width, group) for at, group in sorted(groups.items())]


def _bin(start: float, width: float, group: list[Judged]) -> Bin:
    right = sum(one.is_right for one in group)
    low, high = wilson_interval(right, len(group))
    return Bin(
        round(start, 2),
        round(start + width, 2),
        len(group),
        fmean(one.confidence for one in group),
        right / len(group),
        low,
        high,
    )


def _lowest(
    bounds: tuple[float, float],
    least: float,
    above: Callable[[float], list[bool]],
    needed: float,
) -> float | None:
    """The lowest bar within bounds, from ``least`` on, above which enough were right; None where nothing is above any."""
    first, last = (round(bound * STEPS_IN_ONE) for bound in bounds)
    is_observed = False
    for step in range(first, last + 1):
        bar = step / STEPS_IN_ONE
        if bar < least - 1e-9:
            continue
        found = above(bar)
        if found:
            is_observed = True
            if sum(found) / len(found) >= needed - 1e-9:
                return bar
    return bounds[1] if is_observed else None
