"""The Merkle tree of RFC 6962: hashes, proofs, and their verification. Plain functions over bytes.

A proof that leaves ``[start, end)`` are part of the tree of ``size`` leaves covers all three questions that are asked:
an inclusion proof is the one for a single leaf, a consistency proof the one for ``[0, old size)``. The general form is
that of Merkle Tree Certificates (draft-ietf-plants-merkle-tree-certs, "Subtrees").

Ranges of leaves are (start, end), the end left out. Hashes are 32 bytes.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from hashlib import sha256

Range = tuple[int, int]

EMPTY = sha256(b"").digest()
HASH_LENGTH = 32


class BadProof(ValueError):
    """A proof does not show what it is said to show; the message says why."""


def leaf_hash(body: bytes) -> bytes:
    """The hash of one entry."""
    return sha256(b"\x00" + body).digest()


def node_hash(left: bytes, right: bytes) -> bytes:
    """The hash of a node over its two children."""
    return sha256(b"\x01" + left + right).digest()


class Frontier:
    """A tree that only grows: it keeps one hash for each complete subtree at its right edge, at most 64."""

    def __init__(self) -> None:
        self.size = 0
        self._peaks: list[tuple[int, bytes]] = []  # (leaves, hash), the largest first

    def push(self, leaf: bytes) -> None:
        """Add the hash of the next leaf."""
        width = 1
        while self._peaks and self._peaks[-1][0] == width:
            leaf = node_hash(self._peaks.pop()[1], leaf)
            width *= 2
        self._peaks.append((width, leaf))
        self.size += 1

    def root(self) -> bytes:
        """The root of the tree as it is now."""
        if not self._peaks:
            return EMPTY
        *rest, (_, root) = self._peaks
        for _, peak in reversed(rest):
            root = node_hash(peak, root)
        return root

    def copy(self) -> Frontier:
        """Another one, which may grow by itself."""
        other = Frontier()
        other.size, other._peaks = self.size, list(self._peaks)
        return other


def root_of(leaves: Iterable[bytes]) -> bytes:
    """The root of a tree, from the hashes of its leaves."""
    frontier = Frontier()
    for leaf in leaves:
        frontier.push(leaf)
    return frontier.root()


def split(size: int) -> int:
    """The size of the left child of a tree: the largest power of two below ``size``, which is at least 2."""
    return int(1 << ((size - 1).bit_length() - 1))


def subtree_path(start: int, end: int, size: int) -> list[Range]:
    """The ranges whose hashes, in this order, prove that ``[start, end)`` is part of the tree.

    Raises BadProof where that is no subtree.
    """
    check_subtree(start, end, size)
    return list(_path(start, end, 0, size))


def inclusion_path(index: int, size: int) -> list[Range]:
    """The ranges whose hashes prove that a leaf is part of the tree."""
    return subtree_path(index, index + 1, size)


def consistency_path(old: int, size: int) -> list[Range]:
    """The ranges whose hashes prove that the tree grew out of one of ``old`` leaves."""
    return subtree_path(0, old, size)


def check_subtree(start: int, end: int, size: int) -> None:
    """Raise BadProof unless ``[start, end)`` can be a subtree: it begins at a multiple of its rounded width."""
    if not 0 <= start < end <= size:
        raise BadProof(f"[{start}, {end}) is not a range of {size} leaves.")
    if start & ((1 << (end - start - 1).bit_length()) - 1):
        raise BadProof(f"[{start}, {end}) does not begin where a subtree of its width can.")


def _path(start: int, end: int, low: int, high: int, *, known: bool = True) -> Iterator[Range]:
    """From the leaves up. What both trees end with is not said where it is the subtree itself: the verifier knows it."""
    if (start, end) == (low, high):
        if not known:
            yield low, high
        return
    middle = low + split(high - low)
    if end <= middle:
        yield from _path(start, end, low, middle, known=known)
        yield middle, high
    elif start >= middle:
        yield from _path(start, end, middle, high, known=known)
        yield low, middle
    else:
        yield from _path(middle, end, middle, high, known=False)
        yield low, middle


def verify_subtree(
    start: int, end: int, size: int, proof: Sequence[bytes], part: bytes, root: bytes
) -> None:
    """Raise BadProof unless the tree of ``size`` leaves with this root has the subtree with the hash ``part``.

    The empty subtree is part of every tree, and needs no proof.
    """
    if 0 <= start == end <= size:
        if part != EMPTY or proof:
            raise BadProof("An empty part has the empty hash and no proof.")
        return
    check_subtree(start, end, size)
    left = list(proof)
    old, new = _rebuilt(start, end, (0, size), left, part)
    if left:
        raise BadProof("The proof is too long.")
    if old != part:
        raise BadProof("The proof does not lead to the hash of the part.")
    if new != root:
        raise BadProof("The proof does not lead to the root.")


def _rebuilt(
    start: int, end: int, within: Range, left: list[bytes], part: bytes | None
) -> tuple[bytes, bytes]:
    """The hashes of the part and of the whole, where they meet inside a range; takes hashes from the proof's end."""
    if (start, end) == within:
        both = _last(left) if part is None else part
        return both, both
    low, high = within
    middle = low + split(high - low)
    sibling = _last(left)
    if end <= middle:
        old, new = _rebuilt(start, end, (low, middle), left, part)
        return old, node_hash(new, sibling)
    if start >= middle:
        old, new = _rebuilt(start, end, (middle, high), left, part)
        return old, node_hash(sibling, new)
    old, new = _rebuilt(middle, end, (middle, high), left, None)
    return node_hash(sibling, old), node_hash(sibling, new)


def _last(left: list[bytes]) -> bytes:
    if not left:
        raise BadProof("The proof is too short.")
    return left.pop()


def verify_inclusion(
    index: int, size: int, proof: Sequence[bytes], leaf: bytes, root: bytes
) -> None:
    """Raise BadProof unless the leaf with this number (from 0) and hash is in the tree."""
    if len(leaf) != HASH_LENGTH:
        raise BadProof(f"A hash has {HASH_LENGTH} bytes, and not {len(leaf)}.")
    verify_subtree(index, index + 1, size, proof, leaf, root)


def verify_consistency(
    old: int, size: int, proof: Sequence[bytes], old_root: bytes, root: bytes
) -> None:
    """Raise BadProof unless the tree grew out of the older one; every tree grew out of none, which shows nothing."""
    check_subtree(0, old, size)
    verify_subtree(0, old, size, proof, old_root, root)


def verify_subtree_inclusion(
    index: int, start: int, end: int, proof: Sequence[bytes], leaf: bytes, part: bytes
) -> None:
    """Raise BadProof unless the leaf is in the subtree ``[start, end)`` whose hash is ``part``."""
    check_subtree(start, end, end)
    verify_inclusion(index - start, end - start, proof, leaf, part)
