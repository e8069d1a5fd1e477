"""What a stream came to, counted by hand on streams short enough for that."""

from __future__ import annotations

from typing import Any

from config.learning.scoring import Memoriser, Score
from config.learning.stream import Recorded


def call(what: str, error: str = "", *, run: str = "r1", tool: str = "query") -> Recorded:
    return Recorded("scout", run, None, tool, {"what": what}, not error, error)


def scored(*told: tuple[Recorded, bool]) -> dict[str, Any]:
    score = Score()
    score.begin_pass()
    for each, is_blocked in told:
        score.tell(each, is_blocked=is_blocked)
    return score.report()


def test_a_recurrence_has_the_tool_and_message_of_an_earlier_failure_whatever_became_of_that():
    report = scored(
        (call("a", "gone"), False),
        (call("b", "gone"), True),
        (call("c", "gone"), False),
        (call("a", "gone", tool="other"), False),
        (call("d", "late"), False),
    )

    assert report["failures"] == 5
    assert report["recurrences"] == 2
    assert report["recurrences_prevented"] == 1
    assert report["prevented_share"] == 0.5


def test_a_blocked_call_that_went_well_is_a_false_rejection_and_no_prevention():
    report = scored((call("a"), True), (call("b"), False))

    assert report["false_rejections"] == 1
    assert report["prevented"] == 0
    assert report["prevented_share"] is None


def test_a_blocked_failure_of_a_new_kind_is_prevented_and_no_recurrence():
    report = scored((call("a", "gone"), False), (call("b", "late"), True))

    assert report["prevented"] == 1
    assert report["recurrences"] == report["recurrences_prevented"] == 0


def test_in_run_is_who_failed_so_or_with_that_call_before_in_the_same_run():
    report = scored(
        (call("a", "gone"), False),
        (call("b", "gone"), True),  # so before
        (call("a", "late"), True),  # with that call before
        (call("a", "gone", run="r2"), True),
        (call("b", "gone", run="r2"), True),  # so before, though blocked
    )

    assert report["prevented_in_run"] == 3
    assert report["prevented_across_runs"] == 1


def test_a_kind_is_protected_from_its_first_prevention_on():
    report = scored(
        (call("a", "gone"), False),
        (call("b", "gone"), False),
        (call("c", "gone"), True),
        (call("d", "gone"), False),
        (call("x", "late"), False),
        (call("y", "late"), False),
        (call("z", "once"), False),
    )

    assert report["calls_until_protected"] == {"median": 2, "most": 2, "never": 1}


def test_who_memorises_blocks_the_exact_call_and_learns_from_what_it_let_through():
    memoriser = Memoriser()
    heard = [
        call("a"),
        call("a", "gone"),
        call("a"),
        call("a", "late", run="r2"),
        call("b", "gone"),
    ]

    assert [memoriser.blocks(each) for each in heard] == [False, False, True, True, False]


def test_passes_are_counted_apart_and_together():
    score = Score()
    for _ in range(2):
        score.begin_pass()
        score.tell(call("a", "gone"), is_blocked=len(score.passes) == 2)
    report = score.report()

    assert [each["prevented"] for each in report["by_pass"]] == [0, 1]
    assert [each["recurrences"] for each in report["by_pass"]] == [0, 1]
    assert report["prevented"] == report["recurrences"] == 1
