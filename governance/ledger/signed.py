"""What was signed about one tenant's tree, as it is kept outside the database and verified."""

from __future__ import annotations

from bisect import bisect_left
from dataclasses import dataclass, field
from pathlib import Path

from ..signing.notes import BadNote, origin_of, verify
from ..signing.outside import Outside, Unreadable, public_key
from ..signing.tree import HASH_LENGTH, Frontier


@dataclass(slots=True)
class Signed:
    """Roots by the size of the tree, and the leaf hashes that lead to them, of which the first ``proven`` do."""

    roots: dict[int, bytes] = field(default_factory=dict)
    texts: set[str] = field(default_factory=set)
    problems: list[str] = field(default_factory=list)
    size: int = 0
    sizes: list[int] = field(default_factory=list)
    leaves: bytes = b""
    proven: int = 0

    def leaf(self, seq: int) -> bytes | None:
        """The hash of the entry that was signed under this number; None where that is not known."""
        if seq >= self.proven:
            return None
        return self.leaves[seq * HASH_LENGTH : (seq + 1) * HASH_LENGTH]

    def has_leaves(self, size: int) -> bool:
        """Whether every leaf of the tree of this size is known, so that each was compared by itself."""
        return size <= self.proven

    def before(self, size: int) -> int:
        """The largest signed size below this one, 0 where there is none."""
        place = bisect_left(self.sizes, size)
        return self.sizes[place - 1] if place else 0


def size(directory: Path, tenant_id: str) -> int:
    """How many entries of a tenant are under a signature; 0 where that cannot be read, which ``read`` will tell."""
    try:
        _, last = Outside(directory, tenant_id).last()
    except Unreadable:
        return 0
    return last.size if last else 0


def read(directory: Path, tenant_id: str) -> Signed:
    """Every note about a tenant's tree, its signature verified, and as many leaf hashes as lead to their roots."""
    signed, outside = Signed(), Outside(directory, tenant_id)
    try:
        public = public_key(directory)
        notes = outside.notes()
    except Unreadable as error:
        signed.problems.append(str(error))
        return signed
    if public is None:
        if notes:
            signed.problems.append(f"{directory} has notes and no public key.")
        return signed
    origin = origin_of(tenant_id)
    for note in notes:
        try:
            verify(note.text, origin, public)
        except BadNote as error:
            signed.problems.append(f"The note about {note.size} entries: {error}")
            continue
        if note.size <= signed.size:
            signed.problems.append(
                f"A note about {note.size} entries follows one about {signed.size}."
            )
            continue
        signed.roots[note.size], signed.size = note.root, note.size
        signed.texts.add(note.text)
        signed.sizes.append(note.size)
    _prove(signed, outside)
    return signed


def _prove(signed: Signed, outside: Outside) -> None:
    """Trust leaf hashes as far as they lead to the roots that were signed."""
    tree, hashes = Frontier(), bytearray()
    for leaf in outside.leaf_hashes():
        tree.push(leaf)
        hashes += leaf
        root = signed.roots.get(tree.size)
        if root is not None:
            if tree.root() != root:
                break
            signed.proven = tree.size
        if tree.size == signed.size:
            break
    signed.leaves = bytes(hashes)
    if signed.proven < signed.size:
        signed.problems.append(
            f"{outside.leaves} does not lead to the notes: of {signed.size} entries that were signed,"
            f" it knows the first {signed.proven}."
        )
