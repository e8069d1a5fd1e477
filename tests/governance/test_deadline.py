"""A deadline that holds whatever the bridge does, and never strikes who has come back."""

from __future__ import annotations

import threading
import time

import pytest

from governance.loop.deadline import LOOKS_EVERY, TookTooLong, within

EVENT = threading.Event()


def spin(swallows: int) -> None:
    """Never return; catch the first few exceptions."""
    while True:
        try:
            while True:
                EVENT.wait(0.005)
        except TookTooLong:
            if not swallows:
                raise
            swallows -= 1


def test_what_comes_back_in_time_is_returned() -> None:
    assert within(5.0, str.upper, "yes") == "YES"


def test_what_does_not_come_back_is_interrupted_and_told_how_long_it_had() -> None:
    with pytest.raises(TookTooLong, match=r"longer than 0\.05 s"):
        within(0.05, spin, 0)


def test_a_bridge_that_swallows_the_interruption_is_interrupted_again() -> None:
    with pytest.raises(TookTooLong):
        within(0.05, spin, 1)


def test_what_the_verb_raises_is_raised() -> None:
    with pytest.raises(ZeroDivisionError):
        within(5.0, lambda number: 1 // number, 0)


def test_who_came_back_late_but_by_himself_is_not_struck_afterwards() -> None:
    def late(seconds: float) -> str:
        ends = time.monotonic() + seconds
        with pytest.raises(TookTooLong):
            spin(0)
        assert time.monotonic() < ends + 1
        return "back"

    assert within(0.05, late, 0.05) == "back"
    # A whole look of the watch goes by without anything arriving here.
    EVENT.wait(2 * LOOKS_EVERY)


def test_threads_have_deadlines_of_their_own() -> None:
    ended: list[str] = []

    def caught() -> None:
        with pytest.raises(TookTooLong):
            within(0.05, spin, 0)
        ended.append("interrupted")

    thread = threading.Thread(target=caught)
    thread.start()
    within(5.0, lambda other: other.join(), thread)
    assert ended == ["interrupted"]
