"""A tenant's policy set: the number by which every guard learns that something changed, and what was in force.

Every change raises the revision, marks what changed with it, and keeps the set as it now is under its hash
(``rules/snapshots.py``); decisions read number and hash in the one statement they need anyway.
"""

from __future__ import annotations

import threading
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from django.db import connection
from django.db.models import QuerySet

from governance.database.compiled import Question, compiled
from governance.database.inserts import insert
from governance.database.scoped import IN_SCOPE
from governance.database.tenancy import required_tenant
from governance.database.trips import one_trip
from policies.conditions import ConditionError, compile_condition
from policies.models import Policy, PolicySet, PolicySetNode, PolicySnapshot
from policies.rules import snapshots

HEADS = ("action.tool", "agent.id", "action.kind")
"""What policies are found by, where their conditions say that it must equal something."""

# What the guard reads of a policy, and so what a set is.
_LEAF = (
    "id",
    "name",
    "version",
    "action",
    "category",
    "scope_type",
    "scope_id",
    "tool",
    "failure_mode",
    "bind_at",
    "condition",
    "explanation",
    "simulated",
)


@dataclass(frozen=True, slots=True)
class Standing:
    """Which set is in force: its number, and the hash of what is in it."""

    revision: int
    hash: str


TEXTS_KEPT = 1_000
"""Nodes kept in one process, some kilobytes each: the next change begins with what the last one made."""

NONE_YET = Standing(0, snapshots.EMPTY)
"""Before a tenant's first policy."""


def standing() -> Standing:
    """The set in force, as it was committed when the statement began."""
    return asking().answer()


def asking() -> Question[Standing]:
    """The same, for who asks more than this on one trip."""
    return _sets.ready().then(_standing)


def _standing(found: list[PolicySet]) -> Standing:
    if not found:
        return NONE_YET
    if not found[0].root:
        # Made before sets had hashes.
        bump([])
        return standing()
    return Standing(found[0].revision, found[0].root)


def revision() -> int:
    """The number of the set in force; 0 before the first policy."""
    return standing().revision


def bump(changed: Iterable[Policy]) -> None:
    """Make changes of these policies known to every guard, in the transaction that made them.

    The set's row stays locked until that transaction ends, so revisions rise in the order of the commits. Call it
    after locking whatever policies the transaction changes, or two of them could wait for each other.
    """
    number, root = _raise()
    policies = _as_they_are([policy.pk for policy in changed])
    tree = snapshots.Tree(_text_of, root)
    texts: dict[str, str] = {}
    if not root:
        # Made before sets had hashes, or new: this time everything counts as changed.
        policies = list(
            Policy.objects.live() | Policy.objects.filter(pk__in=[one.pk for one in policies])
        )
    for policy in policies:
        tree.put(policy.pk, _leaf(policy, texts) if policy.state in Policy.LIVE else None)
    texts |= tree.fresh()
    nodes = [PolicySetNode(hash=name, text=text) for name, text in texts.items()]
    with one_trip():
        for policy in policies:
            Policy.objects.filter(pk=policy.pk).update(changed_in=number, head=head_of(policy))
        insert(nodes, ignore_conflicts=True)
        PolicySet.objects.update(root=tree.root)
        insert([PolicySnapshot(revision=number, hash=tree.root)])
    _keep_texts(texts)


def head_of(policy: Policy) -> dict[str, list[str]]:
    """What a policy's condition can only be true of, by the names in HEADS that it pins down."""
    try:
        head = compile_condition(policy.condition).head
    except ConditionError:
        return {}
    return {name: sorted(head[name]) for name in HEADS if name in head}


def contents(hash: str, *, after: str = "") -> Iterator[dict[str, Any]]:
    """The policies of a set as they were, in the order of the tree, from one policy on.

    Raises LookupError where there was no such set.
    """
    tree = snapshots.Tree(_text_of, hash)
    for _, leaf in tree.walk(snapshots.place_of(after) if after else ""):
        yield snapshots.read_leaf(_text_of(leaf))


def _leaf(policy: Policy, texts: dict[str, str]) -> str:
    is_active = policy.state == Policy.State.ACTIVE
    said = {name: getattr(policy, name) for name in _LEAF}
    text = snapshots.leaf_of({**said, "in_force": is_active})
    name = snapshots.hash_of(text)
    texts[name] = text
    return name


def _raise() -> tuple[int, str]:
    raised = _raised()
    if raised is None:
        PolicySet.objects.bulk_create([PolicySet()], ignore_conflicts=True)
        raised = _raised()
    if raised is None:
        raise LookupError("The tenant's policy set is gone.")
    return raised


def _raised() -> tuple[int, str] | None:
    with connection.cursor() as cursor:
        cursor.execute(
            "UPDATE policies_policyset SET revision = revision + 1 WHERE tenant_id = %s RETURNING revision, root",
            [IN_SCOPE],
        )
        found: tuple[int, str] | None = cursor.fetchone()
        return found


@compiled
def _as_they_are(ids: Sequence[str]) -> QuerySet[Policy]:
    return Policy.objects.filter(id__any=ids).order_by()


@compiled
def _sets() -> QuerySet[PolicySet]:
    """None or one."""
    return PolicySet.objects.order_by()


@compiled
def _nodes(hash: str) -> QuerySet[PolicySetNode]:
    """None or one."""
    return PolicySetNode.objects.filter(hash=hash).order_by()


def _text_of(hash: str) -> str:
    """What a node of the tenant in scope says. Raises LookupError where there was none such."""
    key = (required_tenant(), hash)
    with _lock:
        text = _texts.get(key)
    if text is None:
        for node in _nodes(hash):
            text = str(node.text)
        if text is None:
            raise LookupError(hash)
        _keep_texts({hash: text})
    return text


_texts: dict[tuple[str, str], str] = {}
"""What nodes say, by tenant and hash: it can be nothing else, whatever becomes of the transaction that read or made it."""
_lock = threading.Lock()


def _keep_texts(texts: Mapping[str, str]) -> None:
    tenant = required_tenant()
    with _lock:
        _texts.update({(tenant, hash): text for hash, text in texts.items()})
        for oldest in list(_texts)[: max(0, len(_texts) - TEXTS_KEPT)]:
            del _texts[oldest]
