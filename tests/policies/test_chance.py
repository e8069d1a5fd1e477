"""What failures share is believed when chance would hardly have made it so."""

from __future__ import annotations

import random

from policies.synthesis import Call, Draft, Form, draft
from policies.synthesis.chance import Chance

WORDS = [f"w{n}" for n in range(60)]


def said(rng: random.Random, run: int, *more: str) -> Call:
    text = " ".join([*rng.sample(WORDS, 4), *more])
    return Call("say", {"text": text}, f"r{run}", run=f"r{run}", error="exit code 1")


def form_of(causes: list[Call], good: list[Call], failed: int) -> Form:
    result = draft(causes[0], causes, good, failed)
    assert isinstance(result, Draft)
    return result.form


def test_failures_without_a_cause_hardly_ever_make_a_rule() -> None:
    """Calls fail by the throw of a die, one in three; whatever they share they share by chance."""
    rng = random.Random(11)
    general = 0
    for _ in range(40):
        calls = [said(rng, n) for n in range(60)]
        failed, good = calls[:20], calls[20:]
        general += form_of(failed[:6], good, len(failed)) is Form.GENERAL
    assert general <= 4


def test_failures_with_one_cause_make_a_rule_of_it() -> None:
    rng = random.Random(12)
    for _ in range(10):
        good = [said(rng, n) for n in range(60)]
        causes = [said(rng, 100 + n, "boom") for n in range(4)]
        assert form_of(causes, good, len(causes)) is Form.GENERAL


def test_where_half_of_all_calls_fail_two_that_are_alike_say_nothing() -> None:
    good = [Call("say", {"text": f"ls d{n}"}, f"g{n}", run=f"g{n}") for n in range(43)]
    causes = [
        Call("say", {"text": f"diff a{n} b{n}"}, f"r{n}", run=f"r{n}", error="exit code 1")
        for n in range(2)
    ]
    assert form_of(causes, good, 40) is not Form.GENERAL
    assert form_of(causes, good, 2) is Form.GENERAL


def test_a_share_that_is_expected_is_no_discovery() -> None:
    chance = Chance(failures=1, good=19)
    chance.see(1, 0)
    chance.add({1: 1})
    assert not chance.is_unlikely(1)  # two in twenty are expected, and one was found
    sure = Chance(failures=5, good=95)
    sure.see(5, 0)
    sure.add({1: 30, 5: 30})
    assert sure.is_unlikely(5)
