"""Which verdict holds."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from policies.rules import STRENGTH, Verdict, action_allowed, strictest

verdicts = st.lists(
    st.builds(
        Verdict, st.sampled_from(sorted(STRENGTH)), st.sampled_from(["pol_1", "pol_2", "pol_3"])
    )
)


@pytest.mark.parametrize(
    ("stronger", "weaker"),
    [
        ("kill", "block"),
        ("block", "escalate"),
        ("escalate", "route_away"),
        ("route_away", "warn"),
        ("warn", "allow"),
    ],
)
def test_the_stronger_action_wins_whatever_its_id(stronger: str, weaker: str) -> None:
    assert strictest([Verdict(weaker, "pol_1"), Verdict(stronger, "pol_2")]) == Verdict(
        stronger, "pol_2"
    )


def test_the_lowest_policy_id_wins_a_tie() -> None:
    assert strictest([Verdict("block", "pol_2"), Verdict("block", "pol_1")]) == Verdict(
        "block", "pol_1"
    )


def test_without_verdicts_nothing_is_decided() -> None:
    assert strictest([]) is None


@given(verdicts.flatmap(lambda some: st.tuples(st.just(some), st.permutations(some))))
def test_the_order_of_evaluation_never_matters(pair: tuple[list[Verdict], list[Verdict]]) -> None:
    some, shuffled = pair
    assert strictest(some) == strictest(shuffled)


@pytest.mark.parametrize(
    ("action", "category", "opted_in", "allowed"),
    [
        ("block", "hallucination", False, "warn"),
        ("kill", "hallucination", False, "warn"),
        ("escalate", "hallucination", False, "escalate"),
        ("block", "hallucination", True, "block"),
        ("block", "execution_failure", False, "block"),
    ],
)
def test_a_hallucination_never_blocks_unless_opted_in(
    action: str, category: str, opted_in: bool, allowed: str
) -> None:
    assert action_allowed(action, category, hallucination_may_block=opted_in) == allowed
