"""The stored nodes of a tree, compared with those that its leaves lead to."""

from __future__ import annotations

from collections.abc import Iterator

from ..signing.tree import root_of
from .leaves import WIDTH
from .snapshots import Rows

_NODES = """
SELECT level, place, hash FROM governance_ledgernode WHERE tenant_id = %(tenant)s
"""


class Nodes:
    """What is stored, and what the leaves so far have come to."""

    def __init__(self, tenant_id: str, rows: Rows) -> None:
        self._stored = {
            (level, place): bytes(found)
            for level, place, found in rows(_NODES, {"tenant": tenant_id})
        }
        self._open: list[list[bytes]] = [[]]
        self._counts = [0]

    def wrong_after(self, leaf: bytes) -> Iterator[int]:
        """Add a leaf; for each node that this completes and that is stored otherwise, its first entry's number."""
        level, hashed = 0, leaf
        while True:
            self._open[level].append(hashed)
            if len(self._open[level]) < WIDTH:
                return
            hashed = root_of(self._open[level])
            self._open[level].clear()
            level += 1
            if level == len(self._open):
                self._open.append([])
                self._counts.append(0)
            place = self._counts[level]
            self._counts[level] += 1
            # One that is not stored yet is made when a proof needs it.
            if self._stored.pop((level, place), hashed) != hashed:
                yield place * WIDTH**level

    def left(self) -> list[int]:
        """The first entries of nodes that are stored and whose leaves never came."""
        return sorted(place * WIDTH**level for level, place in self._stored)
