"""When two failures are the same kind."""

import json

import pytest

from catalog.rules import (
    Band,
    Candidate,
    Signature,
    band_for,
    choose,
    evidence,
    likeness,
    signature,
    similarity,
)
from catalog.rules.bands import WEAK_FROM
from catalog.rules.likeness import OTHER_TOOL


@pytest.mark.parametrize(
    ("confidence", "is_new", "band"),
    [
        (0.0, False, Band.NOVEL),
        (0.5999, False, Band.NOVEL),
        (0.60, False, Band.WEAK),
        (0.85, False, Band.WEAK),
        (0.8501, False, Band.STRONG),
        (1.0, False, Band.STRONG),
        (1.0, True, Band.NOVEL),
    ],
)
def test_bands_begin_and_end_where_the_design_says(confidence: float, is_new: bool, band: Band):
    assert band_for(confidence, is_new=is_new) == band


def test_a_pattern_may_have_thresholds_of_its_own():
    assert band_for(0.75, strong=0.70, weak=0.50) == Band.STRONG
    assert band_for(0.90, strong=0.95, weak=0.70) == Band.WEAK


@pytest.mark.parametrize(
    ("confidence", "strong", "weak"),
    [(-0.1, 0.85, 0.6), (1.1, 0.85, 0.6), (float("nan"), 0.85, 0.6), (0.5, 0.5, 0.6)],
)
def test_numbers_out_of_order_are_refused(confidence: float, strong: float, weak: float):
    with pytest.raises(ValueError, match=r"within 0\.\.1"):
        band_for(confidence, strong, weak)


def test_the_same_failure_is_certain():
    first = signature("E", "book", "not enough seats on flight HAT139")
    second = signature("E", "book", "not enough seats on flight HAT290")
    assert similarity(first, second) == 1.0


def test_of_which_kind_a_value_is_says_nothing_about_the_failure():
    # "77" and "gift_card_77" name the same thing: kinds are guessed from how a value looks.
    first = signature("E", "book", "payment method gift_card_77 not found")
    second = signature("E", "book", "payment method 5094406 not found")
    assert first.template != second.template
    assert similarity(first, second) == 1.0


def test_where_nothing_but_a_value_is_said_its_kind_is_all_there_is():
    first, second = signature("E", "book", "5094406"), signature("E", "book", "/tmp/x.csv")
    assert similarity(first, second) < WEAK_FROM


def test_another_tool_makes_a_match_weak():
    first = signature("E", "update_flights", "gift card balance is not enough")
    second = signature("E", "update_baggages", "gift card balance is not enough")
    assert similarity(first, second) == OTHER_TOOL
    assert band_for(similarity(first, second)) == Band.WEAK


@pytest.mark.parametrize(
    ("first", "second"),
    [
        (("E", "t", "session opened for user ann"), ("E", "t", "session closed for user ann")),
        (("E", "t", "gift card not found"), ("E", "t", "gift card balance is not enough")),
        (("E", "t", "user 7 was found"), ("E", "t", "user 7 was not found")),
        (("A", "t", "the server went away"), ("B", "t", "the server went away")),
        (("A", "t", "the server went away"), ("B", "u", "the server went away")),
        (("E", "t", "'x'"), ("E", "u", "'y'")),
        (("E", "t", "closing"), ("E", "u", "closing")),
        (("E", "t", ""), ("E", "u", "")),
    ],
)
def test_what_differs_in_a_word_or_says_too_little_stays_apart(
    first: tuple[str, str, str], second: tuple[str, str, str]
):
    score = similarity(signature(*first), signature(*second))
    assert 0.0 <= score < WEAK_FROM
    assert score == similarity(signature(*second), signature(*first))


def test_one_word_in_a_long_message_is_weak():
    shared = " ".join(f"word{chr(97 + n % 26)}{chr(97 + n // 26)}" for n in range(60))
    score = similarity(signature("E", "t", f"{shared} one"), signature("E", "t", f"{shared} two"))
    assert band_for(score) == Band.WEAK


def test_evidence_says_what_agreed_and_what_did_not():
    first = signature("E", "book", "flight HAT030 not available on 2024-05-13")
    second = signature("E", "search", "flight HAT223 not offered on 2024-05-14")
    why = evidence(first, second)
    assert why["words_agreed"] == ["flight", "not", "on"]
    assert why["words_only_here"] == ["available"]
    assert why["words_only_there"] == ["offered"]
    assert why["placeholders"] == {"<date>": 1, "<id>": 1}
    assert (why["same_error_type"], why["same_tool"], why["same_signature"]) == (True, False, False)
    assert why["similarity"] == round(similarity(first, second), 4)
    assert json.loads(json.dumps(why)) == why


@pytest.mark.parametrize("place", [0, 20, 39])
@pytest.mark.parametrize(
    "known",
    [
        {"message": "cannot open the valve of boiler for alice"},
        {"message": "cannot open the valve of boiler for bob", "tool": "another"},
        {"message": "cannot open the valve of boiler for bob", "error_type": "Another"},
    ],
)
def test_of_many_at_hand_the_likest_is_found_wherever_it_stands(
    place: int, known: dict[str, str]
) -> None:
    def signed(message: str, error_type: str = "ValveError", tool: str = "valves") -> Signature:
        return signature(error_type, tool, message)

    parts = [
        f"{a}{b}"
        for a in "bcdfgh"
        for b in ("ump", "ilter", "adder", "ank", "ipe", "oard", "ocket")
    ]
    others = [signed(f"cannot close the {part} of boiler for bob") for part in parts[:39]]
    likest = signed(**known)
    at_hand = [*others[:place], likest, *others[place:]]
    candidates = [Candidate(f"{n:02d}", each) for n, each in enumerate(at_hand)]
    new = signed("cannot open the valve of boiler for bob")

    choice = choose(new, candidates)

    assert choice.nearest is not None
    assert choice.nearest.signature == likest
    every = max(likeness(new, each).confidence for each in at_hand)
    assert choice.confidence == every
