"""Prevention: what counts as a failure stopped because a policy remembered it."""

from collections.abc import Iterable, Iterator, Mapping
from datetime import timedelta
from typing import Any

from rapidfuzz import fuzz

SIMILARITY_NEEDED = 0.60
RATE_WINDOW = timedelta(days=30)
TEXT_LIMIT = 1_000
"""Characters of a value compared: the guard has 250 ms, and long texts differ early or not at all."""
PAIRS_LIMIT = 200
"""Arguments compared, for the same reason; the rest of larger calls is ignored on both sides."""

ToolCall = tuple[str, Mapping[str, Any]]
"""A tool and its arguments."""


def counts_as_prevention(
    *,
    policy_state: str,
    policy_tenant_id: str,
    decision_tenant_id: str,
    similarity: float,
    has_incident: bool,
    is_in_decision: bool,
    is_simulated: bool,
) -> bool:
    """Whether a blocked call may be called a prevention.

    All of it: the policy active, of the decision's own tenant, the call at least 0.60 similar to those
    of the policy's pattern, no incident created for it, written in the decision's transaction
    (`is_in_decision`), and not simulated.
    """
    return (
        policy_state == "active"
        and policy_tenant_id == decision_tenant_id
        and similarity >= SIMILARITY_NEEDED
        and not has_incident
        and is_in_decision
        and not is_simulated
    )


def call_similarity(tool: str, arguments: Mapping[str, Any], calls: Iterable[ToolCall]) -> float:
    """How alike a call is to the most similar of `calls`, 0..1; 0.0 when none is of the same tool.

    The mean over all argument paths of either call: 1 for equal values, the likeness of their texts
    where both have one, 0 where one is missing. Two calls without arguments are alike.
    """
    pairs = dict(_pairs(arguments))
    return max(
        (_alike(pairs, dict(_pairs(other))) for name, other in calls if name == tool), default=0.0
    )


def _alike(some: Mapping[str, str], others: Mapping[str, str]) -> float:
    paths = some.keys() | others.keys()
    if not paths:
        return 1.0
    return sum(
        _alike_texts(some[path], others[path]) for path in some.keys() & others.keys()
    ) / len(paths)


def _alike_texts(one: str, other: str) -> float:
    if one == other:
        return 1.0
    return max(fuzz.ratio(one, other), fuzz.token_sort_ratio(one, other)) / 100


def _pairs(arguments: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    """Canonical (path, text) pairs of all simple values, in the order of their names."""
    for _, pair in zip(range(PAIRS_LIMIT), _walk(arguments, ""), strict=False):
        yield pair


def _walk(value: Any, path: str) -> Iterator[tuple[str, str]]:
    if isinstance(value, Mapping) and value:
        for name in sorted(value):
            yield from _walk(value[name], f"{path}/{name}")
    elif isinstance(value, list) and value:
        for index, inner in enumerate(value):
            yield from _walk(inner, f"{path}/{index}")
    elif path:
        yield path, str(value)[:TEXT_LIMIT]


def prevention_rate(preventions: int, incidents: int) -> float | None:
    """preventions / (preventions + incidents of patterns with an active policy); None without either."""
    total = preventions + incidents
    return preventions / total if total else None
