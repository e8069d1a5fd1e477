"""Policy sets by their content: one hash for what is in force, cheap to keep however many policies there are.

A set is a tree of nodes that are named by the SHA-256 of their text, as the objects of git are: a changed policy makes
a new leaf and new nodes on the way to the root, a few kilobytes of them with 100,000 policies, and shares all others
with the sets before. A leaf is a policy as the guard reads it. Policies are sorted into the tree by the SHA-256 of
their ids; up to BUCKET of them are one node, more are sixteen by the next digit. So the tree, and with it the hash,
follows from the policies alone and not from the order of the changes.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

import rfc8785

BUCKET = 32
"""Policies of one node: it is written anew for each change below it, so not many; 3 kB at most."""

Load = Callable[[str], str]
"""The text of a node by its hash; raises LookupError for one that there is not."""


@dataclass(frozen=True, slots=True)
class Node:
    """A part of a set: ``entries`` are leaves by policy where it is a bucket, else (hash, count) by digit."""

    leaves: Mapping[str, str] | None
    branches: Mapping[str, tuple[str, int]] | None

    @property
    def count(self) -> int:
        """Policies under it."""
        if self.leaves is not None:
            return len(self.leaves)
        return sum(count for _, count in (self.branches or {}).values())

    @property
    def text(self) -> str:
        """What it is named after."""
        if self.leaves is not None:
            return _canonical({"leaves": dict(self.leaves)})
        return _canonical({"branches": {at: list(it) for at, it in (self.branches or {}).items()}})


def hash_of(text: str) -> str:
    """The name of a node or a leaf: 64 hexadecimal digits."""
    return hashlib.sha256(text.encode()).hexdigest()


def leaf_of(policy: Mapping[str, Any]) -> str:
    """The text of a leaf: RFC 8785, so that anybody can make it again."""
    return rfc8785.dumps(dict(policy)).decode()


def read_leaf(text: str) -> dict[str, Any]:
    """What a leaf says."""
    read: dict[str, Any] = json.loads(text)
    return read


@dataclass(slots=True)
class Tree:
    """A set that can be changed: nodes are loaded when they are on the way, and ``fresh()`` are the new ones."""

    load: Load
    root: str = ""
    made: dict[str, str] = field(default_factory=dict)

    def __post_init__(self) -> None:
        empty = self._keep(Node({}, None))
        self.root = self.root or empty

    def fresh(self) -> dict[str, str]:
        """The nodes of this set that were made here, by their names."""
        found: dict[str, str] = {}
        unseen = [self.root]
        while unseen:
            name = unseen.pop()
            if name in self.made and name not in found:
                found[name] = self.made[name]
                unseen += [below for below, _ in (self._node(name).branches or {}).values()]
        return found

    def put(self, policy_id: str, leaf: str | None) -> None:
        """Have this leaf for a policy, or with None none."""
        before = self._node(self.root)
        self.root = self._keep(self._changed(before, policy_id, leaf, depth=0))

    def walk(self, after: str = "") -> Iterator[tuple[str, str]]:
        """Policies and their leaves in the order of `place_of`, those past the place ``after``."""
        yield from self._walk(self._node(self.root), after, depth=0)

    def _changed(self, node: Node, policy_id: str, leaf: str | None, *, depth: int) -> Node:
        if node.leaves is not None:
            leaves = {one: it for one, it in node.leaves.items() if one != policy_id}
            if leaf is not None:
                leaves[policy_id] = leaf
            return self._settled(leaves, depth)
        branches = dict(node.branches or {})
        digit = place_of(policy_id)[depth]
        below = self._node(branches[digit][0]) if digit in branches else Node({}, None)
        below = self._changed(below, policy_id, leaf, depth=depth + 1)
        if below.count:
            branches[digit] = self._keep(below), below.count
        else:
            branches.pop(digit, None)
        node = Node(None, branches)
        if node.count > BUCKET:
            return node
        return Node(dict(self._leaves(node)), None)

    def _settled(self, leaves: dict[str, str], depth: int) -> Node:
        """A node of these leaves: a bucket, or sixteen."""
        if len(leaves) <= BUCKET:
            return Node(leaves, None)
        parts: dict[str, dict[str, str]] = {}
        for policy_id, leaf in leaves.items():
            parts.setdefault(place_of(policy_id)[depth], {})[policy_id] = leaf
        branches = {}
        for digit, part in parts.items():
            below = self._settled(part, depth + 1)
            branches[digit] = self._keep(below), below.count
        return Node(None, branches)

    def _leaves(self, node: Node) -> Iterable[tuple[str, str]]:
        if node.leaves is not None:
            yield from node.leaves.items()
        for name, _ in (node.branches or {}).values():
            yield from self._leaves(self._node(name))

    def _walk(self, node: Node, after: str, *, depth: int) -> Iterator[tuple[str, str]]:
        if node.leaves is not None:
            for policy_id in sorted(node.leaves, key=place_of):
                if place_of(policy_id) > after:
                    yield policy_id, node.leaves[policy_id]
        for digit, (name, _) in sorted((node.branches or {}).items()):
            if digit >= after[depth : depth + 1]:
                # Past this digit, everything below is past the place too.
                beyond = after if digit == after[depth : depth + 1] else ""
                yield from self._walk(self._node(name), beyond, depth=depth + 1)

    def _node(self, name: str) -> Node:
        read = json.loads(self.made[name] if name in self.made else self.load(name))
        if "leaves" in read:
            return Node(read["leaves"], None)
        return Node(None, {digit: (one, count) for digit, (one, count) in read["branches"].items()})

    def _keep(self, node: Node) -> str:
        text = node.text
        name = hash_of(text)
        self.made[name] = text
        return name


def place_of(policy_id: str) -> str:
    """Where a policy is in the tree."""
    return hashlib.sha256(policy_id.encode()).hexdigest()


def _canonical(value: Any) -> str:
    # Names and counts only, in ASCII: what RFC 8785 would write.
    return json.dumps(value, sort_keys=True, separators=(",", ":"))


def _nowhere(name: str) -> str:
    raise LookupError(name)


EMPTY = Tree(_nowhere).root
"""The hash of a set without policies."""
