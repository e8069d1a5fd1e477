"""The policies that the guard reads, kept in memory under the tenant's revision.

A revision is raised in the transaction of every change that the guard must see, and every decision reads it first:
so what is kept is never older than what was committed when the decision began, in whatever process or thread.
"""

from __future__ import annotations

import threading
from collections import OrderedDict, defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any

from django.db import DatabaseError, transaction

from catalog.models import PatternMatch
from governance.database.tenancy import required_tenant
from policies.conditions import Answer, Condition, ConditionError, Match, compile_condition
from policies.models import Policy
from policies.rules import STRENGTH
from policies.rules.prevention import ToolCall

TENANTS_KEPT = 256
PATTERNS_KEPT = 512
"""Patterns whose calls one tenant's ruleset remembers; beyond it they are read again."""
CALLS_COMPARED = 20
"""Newest calls of a pattern that a blocked call is compared with: 20 of the largest take about 50 ms."""

EVERY = ""
"""Any tool, or any agent."""


class PoliciesUnavailable(RuntimeError):
    """The tenant's policies could not be read, so nothing may be allowed."""


@dataclass(frozen=True)
class Rule:
    """One live policy, as the guard needs it. ``tool`` and ``agent`` may be EVERY."""

    id: str
    name: str
    action: str
    version: int
    is_active: bool
    is_simulated: bool
    fails_open: bool
    tool: str
    agent: str
    source: str
    explanation: str
    pattern_id: str | None
    trace_id: str | None
    incident_id: str | None
    """The incident that the policy was born from."""

    @cached_property
    def _compiled(self) -> Condition | ConditionError:
        # At first use and not when loaded: a tenant may have thousands that no call ever meets.
        try:
            return compile_condition(self.source)
        except ConditionError as error:
            return error

    @property
    def is_broken(self) -> bool:
        """Whether its condition cannot be compiled, and so has no answer about any call."""
        return isinstance(self._compiled, ConditionError)

    def ask(self, facts: Any) -> Match:
        """What its condition says about one call; ``facts`` comes from ``conditions.activation``."""
        if isinstance(self._compiled, ConditionError):
            return Match(Answer.ERROR, self._compiled.message)
        return self._compiled.matches(facts)


class Ruleset:
    """A tenant's live policies at one revision, found by what they are about."""

    def __init__(self, tenant_id: str, revision: int, rules: Iterable[Rule]) -> None:
        self.tenant_id = tenant_id
        self.revision = revision
        self._by_head: dict[tuple[str, str], list[Rule]] = defaultdict(list)
        for rule in rules:
            self._by_head[rule.tool, rule.agent].append(rule)
        self._by_head.default_factory = None
        self._calls: dict[tuple[str, str], list[ToolCall]] = {}

    def about(self, tool: str, agent: str) -> list[Rule]:
        """The rules that could match a call: the cost follows these, not how many are stored."""
        heads = {(tool, agent), (tool, EVERY), (EVERY, agent), (EVERY, EVERY)}
        return [rule for head in heads for rule in self._by_head.get(head, ())]

    def calls_of(self, pattern_id: str, tool: str) -> list[ToolCall]:
        """The newest calls of a tool that failed in a pattern's way, as known when first asked.

        Later ones are not added while the ruleset lives: they failed in the same way, and the policy was made from these.
        """
        key = (pattern_id, tool)
        calls = self._calls.get(key)
        if calls is None:
            if len(self._calls) >= PATTERNS_KEPT:
                self._calls.clear()
            calls = self._calls[key] = _read_calls(pattern_id, tool)
        return calls


_kept: OrderedDict[str, Ruleset] = OrderedDict()
_lock = threading.Lock()


def current(revision: int) -> Ruleset:
    """The rules of the tenant in scope at this revision, from memory or by one query.

    Raises PoliciesUnavailable when they cannot be read.
    """
    tenant_id = required_tenant()
    with _lock:
        known = _kept.get(tenant_id)
        if known is not None and known.revision == revision:
            _kept.move_to_end(tenant_id)
            return known
    loaded = Ruleset(tenant_id, revision, _read(tenant_id))
    # Only when what was read is committed: a transaction that is rolled back must leave nothing behind.
    transaction.on_commit(lambda: _keep(loaded), robust=True)
    return loaded


def forget() -> None:
    """Keep nothing, as in a process that has just started."""
    with _lock:
        _kept.clear()


def _keep(ruleset: Ruleset) -> None:
    with _lock:
        _kept[ruleset.tenant_id] = ruleset
        _kept.move_to_end(ruleset.tenant_id)
        while len(_kept) > TENANTS_KEPT:
            _kept.popitem(last=False)


_COLUMNS = (
    "id",
    "name",
    "action",
    "version",
    "state",
    "simulated",
    "failure_mode",
    "tool",
    "scope_type",
    "scope_id",
    "condition",
    "explanation",
    "pattern_id",
    "trace_id",
)
_ORIGIN = "recovery__match__incident_id"


def _read(tenant_id: str) -> list[Rule]:
    try:
        # A savepoint, so that the refusal which follows a failure can still be recorded.
        with transaction.atomic():
            rows = list(Policy.objects.live().order_by("id").values(*_COLUMNS, _ORIGIN))
        return [_rule(row) for row in rows]
    except (DatabaseError, ValueError) as error:
        raise PoliciesUnavailable(f"the policies of {tenant_id} cannot be read: {error}") from error


def _rule(row: Mapping[str, Any]) -> Rule:
    if row["action"] not in STRENGTH:
        raise ValueError(f"{row['id']} has the unknown action {row['action']!r}")
    # A global policy is one of its own tenant for now: there is nobody yet who may make one for all.
    is_for_one_agent = row["scope_type"] == Policy.Scope.AGENT
    return Rule(
        id=row["id"],
        name=row["name"],
        action=row["action"],
        version=row["version"],
        is_active=row["state"] == Policy.State.ACTIVE,
        is_simulated=row["simulated"],
        fails_open=row["failure_mode"] == Policy.FailureMode.FAIL_OPEN,
        tool=row["tool"],
        agent=row["scope_id"] if is_for_one_agent else EVERY,
        source=row["condition"],
        explanation=row["explanation"],
        pattern_id=row["pattern_id"],
        trace_id=row["trace_id"],
        incident_id=row[_ORIGIN],
    )


def _read_calls(pattern_id: str, tool: str) -> list[ToolCall]:
    rows = (
        PatternMatch.objects.filter(
            pattern_id=pattern_id,
            incident__tool=tool,
            incident__arguments__isnull=False,
            incident__simulated=False,
        )
        .order_by("-id")
        .values_list("incident__tool", "incident__arguments")[:CALLS_COMPARED]
    )
    return [(name, arguments) for name, arguments in rows if isinstance(arguments, dict)]
