"""The policies that the guard reads, kept in memory under the tenant's revision.

A revision is raised in the transaction of every change that the guard must see, and every decision reads it first:
so what is kept is never older than what was committed when the decision began, in whatever process or thread.
"""

from __future__ import annotations

import json
import threading
from collections import OrderedDict, defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

from django.db import DatabaseError, connection, transaction

from catalog import services as catalog
from governance.database.scoped import IN_SCOPE
from governance.database.tenancy import required_tenant
from policies.conditions import Answer, Condition, ConditionError, Facts, Match, compile_condition
from policies.models import Policy
from policies.rules import STRENGTH
from policies.rules.prevention import ToolCall
from policies.syntax import Where

from . import policy_set
from .layers import Layers
from .policy_set import Standing
from .shelf import Shelf

TENANTS_KEPT = 256
PATTERNS_KEPT = 512
"""Patterns whose calls one tenant's ruleset remembers; beyond it they are read again."""
CALLS_COMPARED = 20
"""Newest calls of a pattern that a blocked call is compared with: 20 of the largest take about 50 ms."""

EVERY = ""
"""Any tool, or any agent."""


Head = tuple[str, str]
"""A tool and an agent, either of which may be EVERY."""
HEADS_LIMIT = 16
"""Tools, or agents, that one policy is found by; a condition with more is asked about every one."""


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
    bind_at: str = Policy.BindAt.EACH_STEP
    changed_in: int = 0
    """The revision since which it says what it says."""
    head: Mapping[str, Sequence[str]] = field(default_factory=dict)
    """What its condition can only be true of, as kept with the policy (`policy_set.head_of`)."""
    category: str = Policy.Category.SAFETY
    """Where it is not said, one whose blocks are never tried (`rules.exploration`)."""

    @cached_property
    def heads(self) -> list[Head]:
        """The tools and agents under which it is found."""
        tools = _either(self.tool, self.head.get("action.tool"))
        agents = _either(self.agent, self.head.get("agent.id"))
        return [(tool, agent) for tool in tools for agent in agents]

    @cached_property
    def kinds(self) -> frozenset[str]:
        """The kinds of action that it can be about; empty: every kind."""
        return frozenset(self.head.get("action.kind", ()))

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

    @property
    def asks_of_history(self) -> frozenset[str]:
        """The counters of the run that its condition reads."""
        if isinstance(self._compiled, ConditionError):
            return frozenset()
        return self._compiled.asks_of_history

    @property
    def found_by(self) -> Sequence[tuple[Where, str]]:
        """Texts of the call of which one must be there (`Condition.found_by`)."""
        if isinstance(self._compiled, ConditionError):
            return ()
        return self._compiled.found_by

    def ask(self, facts: Any) -> Match:
        """What its condition says about one call; ``facts`` comes from ``conditions.activation``."""
        if isinstance(self._compiled, ConditionError):
            return Match(Answer.ERROR, self._compiled.message)
        return self._compiled.matches(facts)


class Ruleset:
    """A tenant's live policies at one revision, found by what they are about. Nobody changes one once it is made."""

    def __init__(self, tenant_id: str, standing: Standing, rules: Iterable[Rule]) -> None:
        by_id = {rule.id: rule for rule in rules}
        by_head: dict[Head, dict[str, Rule]] = {}
        for rule in by_id.values():
            for head in rule.heads:
                by_head.setdefault(head, {})[rule.id] = rule
        self.tenant_id = tenant_id
        self.standing = standing
        self._by_id = Layers(by_id)
        self._by_head = Layers({head: Shelf(found) for head, found in by_head.items()})
        self._calls: dict[tuple[str, str], list[ToolCall]] = {}

    def changed(self, standing: Standing, rules: Mapping[str, Rule | None]) -> Ruleset:
        """The ruleset with these rules changed, new or (None) gone. It costs what changes, not what there is."""
        heads: dict[Head, dict[str, Rule | None]] = defaultdict(dict)
        for policy_id, rule in rules.items():
            before = self._by_id.get(policy_id)
            for head in before.heads if before else ():
                heads[head][policy_id] = None
            for head in rule.heads if rule else ():
                heads[head][policy_id] = rule
        shelves = {
            head: (self._by_head.get(head) or Shelf({})).changed(found)
            for head, found in heads.items()
        }
        after = Ruleset(self.tenant_id, standing, ())
        after._by_id = self._by_id.changed(rules)
        after._by_head = self._by_head.changed(
            {head: shelf if shelf.rules else None for head, shelf in shelves.items()}
        )
        return after

    def rules(self) -> list[Rule]:
        """All of them, in no order."""
        return list(self._by_id.values())

    def about(self, tool: str, agent: str, kind: str = EVERY) -> list[Rule]:
        """The rules that could match a call: the cost follows these, not how many are stored."""
        shelves = self._shelves(tool, agent)
        return _of_kind(kind, (rule for shelf in shelves for rule in shelf.rules.values()))

    def facing(self, facts: Facts, *, tool: str, agent: str, kind: str) -> list[Rule]:
        """The same without most of those of which the call's texts show that they say no."""
        shelves = self._shelves(tool, agent)
        return _of_kind(kind, (rule for shelf in shelves for rule in shelf.facing(facts)))

    def _shelves(self, tool: str, agent: str) -> list[Shelf]:
        heads = {(tool, agent), (tool, EVERY), (EVERY, agent), (EVERY, EVERY)}
        return [shelf for head in heads if (shelf := self._by_head.get(head))]

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


def _of_kind(kind: str, rules: Iterable[Rule]) -> list[Rule]:
    return [rule for rule in rules if kind == EVERY or not rule.kinds or kind in rule.kinds]


def _either(own: str, said: Sequence[str] | None) -> list[str]:
    """Under which names a rule is found: its own column's, and what its condition says besides."""
    if own != EVERY:
        return [own] if said is None or own in said else []
    return [EVERY] if said is None or len(said) > HEADS_LIMIT else list(said)


_kept: OrderedDict[str, Ruleset] = OrderedDict()
_lock = threading.Lock()


def current(wanted: Standing) -> Ruleset:
    """The rules of the tenant in scope, from memory, or with one query for those that changed since.

    Its own ``standing`` is the one asked for or a later one. Raises PoliciesUnavailable when they cannot be read.
    """
    tenant_id = required_tenant()
    with _lock:
        known = _kept.get(tenant_id)
        if known is not None and known.standing == wanted:
            _kept.move_to_end(tenant_id)
            return known
    if known is not None and known.standing.revision >= wanted.revision:
        if policy_set.standing() == known.standing:
            return known  # another thread has read a change that came after our question
        # A database that was restored, or another one: numbers of before say nothing.
        known = None
    loaded = _load(tenant_id, wanted, known)
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


# The number and the hash of the set come with the policies, in one statement: so they belong to each other.
_READ = """
SELECT s.revision, s.root, p.id, p.name, p.action, p.version, p.state, p.simulated, p.failure_mode, p.tool,
       p.scope_type, p.scope_id, p.condition, p.explanation, p.pattern_id, p.trace_id, p.bind_at, p.changed_in,
       p.head::text, m.incident_id, p.category
FROM policies_policyset s
LEFT JOIN policies_policy p ON p.tenant_id = s.tenant_id AND {which}
LEFT JOIN recovery_recovery r ON r.tenant_id = p.tenant_id AND r.id = p.recovery_id
LEFT JOIN catalog_patternmatch m ON m.tenant_id = r.tenant_id AND m.id = r.match_id
WHERE s.tenant_id = %(tenant)s"""
_ALL = _READ.format(which="p.state IN ('shadow', 'pending', 'active')")
_CHANGED = _READ.format(which="p.changed_in > %(since)s")


def _load(tenant_id: str, wanted: Standing, known: Ruleset | None) -> Ruleset:
    try:
        # A savepoint, so that the refusal which follows a failure can still be recorded.
        with transaction.atomic(), connection.cursor() as cursor:
            since = known.standing.revision if known else 0
            cursor.execute(_CHANGED if known else _ALL, {"tenant": IN_SCOPE, "since": since})
            rows = cursor.fetchall()
        standing = Standing(rows[0][0], rows[0][1]) if rows else wanted
        rules = {row[2]: _rule(row[2:]) for row in rows if row[2] is not None}
    except (DatabaseError, ValueError) as error:
        raise PoliciesUnavailable(f"the policies of {tenant_id} cannot be read: {error}") from error
    if known is None:
        return Ruleset(tenant_id, standing, filter(None, rules.values()))
    return known.changed(standing, rules)


def _rule(row: Sequence[Any]) -> Rule | None:
    """A rule of a row; None for a policy that is not live any more."""
    (
        id, name, action, version, state, simulated, failure_mode, tool, scope_type, scope_id, condition, explanation,
        pattern_id, trace_id, bind_at, changed_in, head, incident_id, category,
    ) = row  # fmt: skip
    if state not in Policy.LIVE:
        return None
    if action not in STRENGTH:
        raise ValueError(f"{id} has the unknown action {action!r}")
    return Rule(
        id=id,
        name=name,
        action=action,
        version=version,
        is_active=state == Policy.State.ACTIVE,
        is_simulated=simulated,
        fails_open=failure_mode == Policy.FailureMode.FAIL_OPEN,
        tool=tool,
        # A global policy is one of its own tenant for now: there is nobody yet who may make one for all.
        agent=scope_id if scope_type == Policy.Scope.AGENT else EVERY,
        source=condition,
        explanation=explanation,
        pattern_id=pattern_id,
        trace_id=trace_id,
        incident_id=incident_id,
        bind_at=bind_at,
        changed_in=changed_in,
        head=json.loads(head),
        category=category,
    )


def _read_calls(pattern_id: str, tool: str) -> list[ToolCall]:
    rows = (
        catalog.standing_of([pattern_id])
        .filter(
            incident__tool=tool,
            incident__arguments__isnull=False,
            incident__simulated=False,
        )
        .values_list("incident__tool", "incident__arguments")[:CALLS_COMPARED]
    )
    return [(name, arguments) for name, arguments in rows if isinstance(arguments, dict)]
