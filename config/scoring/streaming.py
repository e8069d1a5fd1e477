"""Labelled failures placed one after another, forwards, backwards and shuffled, and what the decisions were worth."""

from __future__ import annotations

import random
from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import asdict
from statistics import fmean
from typing import Any

from catalog.rules.bands import Band
from catalog.rules.measures import grouping
from catalog.rules.stream import Catalogue, Placed

from .labelled import Labelled

ORDERS = 10
SEED = 20250101
DIGITS = 4

# Confidences are told apart by tenths, and 1.0 by itself.
BINS = 10

Figures = dict[str, Any]


def score(labelled: Sequence[Labelled], *, orders: int = ORDERS) -> Figures:
    """The figures of these failures in the order given, as ``ga``, ``precision`` and so on, and of other orders.

    Where there are several systems, ``ga``, ``precision``, ``recall`` and ``f1`` are means over them.
    """
    forwards = _one_order(labelled)
    turned = _one_order(labelled[::-1])
    shuffled = [_one_order(_shuffled(labelled, number)) for number in range(orders)]
    spread = max(
        (abs(each["ga"] - forwards["ga"]) for each in (turned, *shuffled)),
        default=0.0,
    )
    return {
        **forwards,
        "reversed": _short(turned),
        "shuffled": {"orders": orders, **{name: _range(name, shuffled) for name in SHORT}},
        "largest_difference_of_ga": round(spread, DIGITS),
    }


SHORT = ("ga", "precision", "recall", "f1")


def _short(figures: Figures) -> Figures:
    return {name: figures[name] for name in SHORT}


def _range(name: str, all_figures: Sequence[Figures]) -> Figures:
    said = [each[name] for each in all_figures]
    if not said:
        return {}
    return {"least": min(said), "mean": round(fmean(said), DIGITS), "most": max(said)}


def _shuffled(labelled: Sequence[Labelled], number: int) -> list[Labelled]:
    order = list(labelled)
    random.Random(SEED + number).shuffle(order)  # noqa: S311 - the same orders every time
    return order


def _one_order(labelled: Sequence[Labelled]) -> Figures:
    catalogue = Catalogue()
    placed = [catalogue.place(each.signature) for each in labelled]
    systems: defaultdict[str, list[int]] = defaultdict(list)
    for position, each in enumerate(labelled):
        systems[each.system].append(position)
    by_system = {
        name: _grouped([labelled[at] for at in places], [placed[at] for at in places])
        for name, places in systems.items()
    }
    means = {
        name: round(fmean(each[name] for each in by_system.values()), DIGITS) if by_system else 1.0
        for name in SHORT
    }
    figures: Figures = {"incidents": len(labelled), "patterns": len(catalogue), **means}
    if len(by_system) > 1:
        figures["systems"] = by_system
    return figures | _decisions(labelled, placed)


def _grouped(labelled: Sequence[Labelled], placed: Sequence[Placed]) -> Figures:
    found = grouping([each.pattern for each in placed], [each.group for each in labelled])
    said = {name: round(value, DIGITS) for name, value in asdict(found).items()}
    return {**said, "f1": round(found.f1, DIGITS)}


def _decisions(labelled: Iterable[Labelled], placed: Iterable[Placed]) -> Figures:
    """What each decision was worth when it was made: right is whom its pattern was opened for."""
    bands = {band.value: [0, 0] for band in (Band.STRONG, Band.WEAK)}
    bins: defaultdict[float, list[float]] = defaultdict(lambda: [0, 0, 0.0])
    recurrences = matched = 0
    opened_for: dict[str, tuple[str, str]] = {}
    seen: set[tuple[str, str]] = set()
    for each, decision in zip(labelled, placed, strict=True):
        group = (each.system, each.group)
        if decision.is_new:
            opened_for[decision.pattern] = group
        recurrences += group in seen
        matched += group in seen and not decision.is_new
        seen.add(group)
        # A novel one has a confidence too: that it is of the pattern that came nearest.
        nearest = decision.pattern
        if decision.is_new:
            if decision.choice is None or decision.choice.nearest is None:
                continue
            nearest = decision.choice.nearest.id
        right = opened_for[nearest] == group
        counted = bins[min(int(decision.confidence * BINS), BINS) / BINS]
        counted[0] += 1
        counted[1] += right
        counted[2] += decision.confidence
        if not decision.is_new:
            bands[decision.band.value][0] += 1
            bands[decision.band.value][1] += right
    return {
        "bands": {name: _share(*counts) for name, counts in bands.items()},
        "recurrences": {
            "count": recurrences,
            "matched": matched,
            "share": round(matched / recurrences, DIGITS) if recurrences else 1.0,
        },
        "calibration": [
            {
                "from": least,
                "count": int(count),
                "said": round(said / count, DIGITS),
                "right": round(right / count, DIGITS),
            }
            for least, (count, right, said) in sorted(bins.items())
        ],
    }


def _share(count: int, right: int) -> Figures:
    return {
        "count": count,
        "right": right,
        "precision": round(right / count, DIGITS) if count else 1.0,
    }
