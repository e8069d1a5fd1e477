"""One tenant's tree as it is stored: leaves, and the nodes over 256 of them, of which a proof needs a few hundred."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Sequence

from django.db import connection
from django.db.models import Max

from ..database.inserts import insert
from ..database.scoped import IN_SCOPE
from ..models import LedgerLeaf, LedgerNode
from ..signing.tree import EMPTY, HASH_LENGTH, Range, node_hash, root_of, split
from .entries import LedgerError

# As C2SP tlog-tiles has it: every eighth level of the tree is stored, so 256 hashes make one of the next.
STORED_EVERY = 8
WIDTH = 1 << STORED_EVERY
# As many leaves are read at once; a multiple of WIDTH.
CHUNK = 16 * WIDTH

Place = tuple[
    int, int
]  # (level as stored: 0 leaves, 1 nodes over 256 leaves …, number from the left)


def size() -> int:
    """How many entries of the tenant in scope have a number."""
    last = LedgerLeaf.objects.aggregate(last=Max("seq"))["last"]
    return 0 if last is None else last + 1


def root(of: int) -> bytes:
    """The root of the tree of the first ``of`` entries of the tenant in scope."""
    return hashes([(0, of)])[0] if of else EMPTY


def hashes(ranges: Sequence[Range]) -> list[bytes]:
    """The hash over each range of leaves; a range begins where a subtree of its width can.

    Raises LedgerError for leaves or nodes that are not there.
    """
    known = _fetch({place for low, high in ranges for place in _places(low, high)})
    return [_hash(low, high, known) for low, high in ranges]


def leaf_hashes(low: int, high: int) -> Iterator[bytes]:
    """The hashes of the leaves from ``low`` on, without ``high``, in order. Raises LedgerError where one is missing."""
    for start in range(low, high, CHUNK):
        joined = _joined(start, min(start + CHUNK, high))
        for at in range(0, len(joined), HASH_LENGTH):
            yield joined[at : at + HASH_LENGTH]


def complete_nodes(of: int) -> int:
    """Write the nodes that are complete in the tree of the first ``of`` entries of the tenant in scope; how many.

    Who else writes them writes the same.
    """
    written, count, level = 0, of, 1
    while count := count // WIDTH:
        last = LedgerNode.objects.filter(level=level).aggregate(last=Max("place"))["last"]
        missing = range(0 if last is None else last + 1, count)
        for start in range(missing.start, missing.stop, WIDTH):
            places = range(start, min(start + WIDTH, missing.stop))
            written += insert(_nodes(level, places), ignore_conflicts=True)
        level += 1
    return written


def _nodes(level: int, places: range) -> list[LedgerNode]:
    below = range(places.start * WIDTH, places.stop * WIDTH)
    if level == 1:
        children = list(leaf_hashes(below.start, below.stop))
    else:
        known = _fetch({(level - 1, number) for number in below})
        children = [known[level - 1, number] for number in below]
    return [
        LedgerNode(level=level, place=place, hash=root_of(children[n * WIDTH : (n + 1) * WIDTH]))
        for n, place in enumerate(places)
    ]


def _joined(low: int, high: int) -> bytes:
    """The hashes of these leaves as one text: thousands are read each second, and a row each would cost more."""
    with connection.cursor() as cursor:
        cursor.execute(_JOINED, {"tenant": IN_SCOPE, "low": low, "high": high})
        joined = bytes(cursor.fetchone()[0] or b"")
    if len(joined) != (high - low) * HASH_LENGTH:
        _fetch({(0, number) for number in range(low, high)})  # says which one is missing
        raise LedgerError(f"The ledger has a hash of another length from number {low} on.")
    return joined


def _places(low: int, high: int) -> Iterator[Place]:
    """What is stored of the hash over a range."""
    for start, width in _complete(low, high):
        height = width.bit_length() - 1
        level = height // STORED_EVERY
        first = start >> (level * STORED_EVERY)
        for number in range(first, first + (1 << (height % STORED_EVERY))):
            yield level, number


def _complete(low: int, high: int) -> Iterator[Range]:
    """The complete subtrees of a range, as (first leaf, number of leaves), the largest first."""
    while low < high:
        width = 1 << ((high - low).bit_length() - 1)
        yield low, width
        low += width


def _hash(low: int, high: int, known: dict[Place, bytes]) -> bytes:
    width = high - low
    height = width.bit_length() - 1
    if width == 1 << height and height % STORED_EVERY == 0:
        level = height // STORED_EVERY
        return known[level, low >> height]
    middle = low + split(width)
    return node_hash(_hash(low, middle, known), _hash(middle, high, known))


def _fetch(places: set[Place]) -> dict[Place, bytes]:
    by_level: dict[int, list[int]] = defaultdict(list)
    for level, number in places:
        by_level[level].append(number)
    known: dict[Place, bytes] = {}
    with connection.cursor() as cursor:
        for level, numbers in by_level.items():
            if level:
                cursor.execute(_NODES, {"tenant": IN_SCOPE, "level": level, "numbers": numbers})
            else:
                cursor.execute(_LEAVES, {"tenant": IN_SCOPE, "numbers": numbers})
            known |= {(level, number): bytes(found) for number, found in cursor.fetchall()}
    if missing := places - known.keys():
        level, number = min(missing)
        raise LedgerError(
            f"The ledger has no entry number {number}."
            if level == 0
            else f"The ledger's tree has no node {number} of level {level}."
        )
    return known


_JOINED = """
SELECT string_agg(hash, ''::bytea ORDER BY seq) FROM governance_ledgerleaf
 WHERE tenant_id = %(tenant)s AND seq >= %(low)s AND seq < %(high)s
"""
_LEAVES = """
SELECT seq, hash FROM governance_ledgerleaf WHERE tenant_id = %(tenant)s AND seq = ANY(%(numbers)s)
"""
_NODES = """
SELECT place, hash FROM governance_ledgernode
 WHERE tenant_id = %(tenant)s AND level = %(level)s AND place = ANY(%(numbers)s)
"""
