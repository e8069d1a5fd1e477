"""A set's hash follows from its policies alone, and a change costs a few nodes."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from policies.rules import snapshots
from policies.rules.snapshots import BUCKET, EMPTY, Tree, hash_of, place_of

IDS = st.integers(0, 400).map("pol_{:026}".format)
CHANGES = st.lists(st.tuples(IDS, st.one_of(st.none(), st.integers(0, 3))), max_size=600)


class Store:
    """Where nodes are kept, one change after the other."""

    def __init__(self) -> None:
        self.nodes: dict[str, str] = {}
        self.root = EMPTY

    def put(self, policy_id: str, leaf: str | None) -> int:
        """Change one policy; how many nodes that took."""
        tree = self.tree()
        tree.put(policy_id, leaf)
        made = tree.fresh()
        self.nodes |= made
        self.root = tree.root
        return len(made)

    def tree(self) -> Tree:
        return Tree(self.nodes.__getitem__, self.root)


def of(leaves: dict[str, str]) -> Store:
    store = Store()
    for policy_id in sorted(leaves):
        store.put(policy_id, leaves[policy_id])
    return store


@given(CHANGES)
def test_any_changes_that_lead_to_the_same_policies_lead_to_the_same_hash(
    changes: list[tuple[str, int | None]],
) -> None:
    store, now = Store(), dict[str, str]()
    for policy_id, said in changes:
        leaf = None if said is None else hash_of(str(said))
        store.put(policy_id, leaf)
        now.pop(policy_id, None)
        if leaf:
            now[policy_id] = leaf
    assert store.root == of(now).root
    assert dict(store.tree().walk()) == now
    assert (store.root == EMPTY) == (not now)


@given(st.sets(IDS, min_size=1, max_size=300), st.integers(0, 299))
def test_a_walk_goes_on_where_it_was_left(ids: set[str], at: int) -> None:
    tree = of({one: hash_of(one) for one in ids}).tree()
    found = [policy_id for policy_id, _ in tree.walk()]
    assert found == sorted(ids, key=place_of)
    last = found[at % len(found)]
    assert [policy_id for policy_id, _ in tree.walk(place_of(last))] == found[
        found.index(last) + 1 :
    ]


def test_a_change_takes_a_few_nodes_however_many_policies_there_are() -> None:
    store = of({f"pol_{number:026}": hash_of(str(number)) for number in range(5_000)})
    assert store.put("pol_new", hash_of("new")) <= 4
    assert store.put("pol_new", hash_of("newer")) <= 4


@pytest.mark.parametrize("count", [0, 1, BUCKET, BUCKET + 1])
def test_an_older_set_stays_as_it_was(count: int) -> None:
    store = of({f"pol_{number}": hash_of(str(number)) for number in range(count)})
    before, root = dict(store.tree().walk()), store.root
    store.put("pol_0", hash_of("other"))
    assert dict(Tree(store.nodes.__getitem__, root).walk()) == before
    assert store.root != root


def test_a_leaf_is_said_in_one_way() -> None:
    assert snapshots.leaf_of({"b": "ä", "a": 1}) == '{"a":1,"b":"ä"}'
    assert snapshots.read_leaf('{"a":1}') == {"a": 1}
