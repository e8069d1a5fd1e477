"""The tree is RFC 6962's: against published vectors, and against a naive one made from the definition."""

from __future__ import annotations

import json
import os
from base64 import b64decode
from hashlib import sha256
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from governance.signing import tree
from governance.signing.tree import BadProof

ROOT = Path(__file__).resolve().parents[2]
VECTORS = Path(
    os.environ.get("ANTIBODY_TLOG_VECTORS", ROOT.parent / "shared" / "data" / "tlog_vectors.jsonl")
)


def verify(kind: str, said: dict[str, Any]) -> None:
    proof = [b64decode(each) for each in said["proof"] or []]

    def known(name: str) -> bytes:
        return b64decode(said[name])

    match kind:
        case "inclusion":
            where = said["leafIdx"], said["treeSize"]
            tree.verify_inclusion(*where, proof, known("leafHash"), known("root"))
        case "consistency":
            sizes = said["size1"], said["size2"]
            tree.verify_consistency(*sizes, proof, known("root1"), known("root2"))
        case "subtreeconsistency":
            part = said["start"], said["end"], said["size"]
            tree.verify_subtree(*part, proof, known("root1"), known("root2"))
        case "subtreeinclusion":
            place = said["leafIdx"], said["start"], said["end"]
            tree.verify_subtree_inclusion(*place, proof, known("leafHash"), known("root"))
        case unknown:
            pytest.fail(f"A vector of kind {unknown}.")


def test_all_published_vectors_behave_as_marked() -> None:
    if not VECTORS.exists():
        pytest.skip(f"There are no vectors at {VECTORS}: name the file in ANTIBODY_TLOG_VECTORS.")
    vectors = [json.loads(line) for line in VECTORS.read_text().splitlines()]
    wrong = []
    for vector in vectors:
        try:
            verify(vector["kind"], vector["input"])
            refused = False
        except BadProof:
            refused = True
        if refused != vector["expected"]["error"]:
            wrong.append(vector["id"])
    assert wrong == []
    assert len(vectors) == 518


def naive(leaves: list[bytes]) -> bytes:
    """MTH of RFC 6962, section 2.1, word for word."""
    if not leaves:
        return sha256(b"").digest()
    if len(leaves) == 1:
        return leaves[0]
    k = 1
    while 2 * k < len(leaves):
        k *= 2
    return sha256(b"\x01" + naive(leaves[:k]) + naive(leaves[k:])).digest()


LEAVES = [tree.leaf_hash(str(n).encode()) for n in range(200)]


def prove(ranges: list[tuple[int, int]]) -> list[bytes]:
    return [naive(LEAVES[low:high]) for low, high in ranges]


@given(st.integers(0, 200))
def test_the_root_is_that_of_the_definition(size: int) -> None:
    assert tree.root_of(LEAVES[:size]) == naive(LEAVES[:size])


@given(st.data())
def test_every_leaf_is_proven_and_no_other_passes_for_it(data: st.DataObject) -> None:
    size = data.draw(st.integers(1, 200))
    index, other = data.draw(st.integers(0, size - 1)), data.draw(st.integers(0, 199))
    proof, root = prove(tree.inclusion_path(index, size)), naive(LEAVES[:size])
    tree.verify_inclusion(index, size, proof, LEAVES[index], root)
    if other != index:
        with pytest.raises(BadProof):
            tree.verify_inclusion(index, size, proof, LEAVES[other], root)
        with pytest.raises(BadProof):
            tree.verify_inclusion(other, size, proof, LEAVES[index], root)


@given(st.data())
def test_growth_is_proven_and_a_rewritten_past_is_not(data: st.DataObject) -> None:
    size = data.draw(st.integers(1, 200))
    old, changed = data.draw(st.integers(1, size)), data.draw(st.integers(0, size - 1))
    proof = prove(tree.consistency_path(old, size))
    tree.verify_consistency(old, size, proof, naive(LEAVES[:old]), naive(LEAVES[:size]))
    rewritten = [b"\x00" * 32 if n == changed else leaf for n, leaf in enumerate(LEAVES[:size])]
    with pytest.raises(BadProof):
        tree.verify_consistency(old, size, proof, naive(LEAVES[:old]), naive(rewritten))


@given(st.data())
def test_a_subtree_is_proven_and_its_leaves_in_it(data: st.DataObject) -> None:
    size = data.draw(st.integers(1, 200))
    width = data.draw(st.integers(1, size))
    step = 1 << (width - 1).bit_length()
    start = step * data.draw(st.integers(0, (size - width) // step))
    end = start + width
    part, root = naive(LEAVES[start:end]), naive(LEAVES[:size])
    tree.verify_subtree(start, end, size, prove(tree.subtree_path(start, end, size)), part, root)
    index = data.draw(st.integers(start, end - 1))
    inside = tree.inclusion_path(index - start, width)
    proof = prove([(start + low, start + high) for low, high in inside])
    tree.verify_subtree_inclusion(index, start, end, proof, LEAVES[index], part)


@pytest.mark.parametrize(
    ("start", "end", "size"), [(1, 3, 8), (2, 5, 8), (0, 9, 8), (3, 3, 8), (-1, 1, 8), (4, 9, 16)]
)
def test_what_is_no_subtree_has_no_proof(start: int, end: int, size: int) -> None:
    with pytest.raises(BadProof):
        tree.subtree_path(start, end, size)


def test_a_proof_with_a_hash_too_many_or_too_few_is_refused() -> None:
    proof, root = prove(tree.inclusion_path(5, 13)), naive(LEAVES[:13])
    for wrong in (proof[:-1], proof[1:], [*proof, root], []):
        with pytest.raises(BadProof):
            tree.verify_inclusion(5, 13, wrong, LEAVES[5], root)
