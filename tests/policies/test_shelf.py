"""A tool with many policies: a call is put to those that it could meet, and what they answer stays the same."""

from __future__ import annotations

from dataclasses import replace
from random import Random
from unittest import mock

from policies.conditions import Condition, compile_condition
from policies.services import shelf
from policies.services.acted import Acted, answers
from policies.services.policy_set import Standing
from policies.services.ruleset import EVERY, Rule, Ruleset
from policies.services.ruling import Action, judge

from . import worlds
from .test_reference import rule_of
from .worlds import Said

MANY = 2_000


def remembering(number: int) -> Rule:
    """As they are drafted: the very arguments, or a word in the run where it failed."""
    condition = (
        f'(arguments == {{"query": "SELECT c{number} FROM t"}}) || '
        f'(agent.id == "a" && run.id == "r{number}" && arguments.query.matches("\\bc{number}\\b"))'
    )
    said = Said(
        f"pol_{number:05}", "block", condition, "sql", EVERY, is_active=True, fails_open=False
    )
    return rule_of(said)


def asked_by(rules: Ruleset, query: object, run: str) -> list[str]:
    call = Action("a", run, 0, "tool_call", "sql", {"query": query}, {})
    return sorted(rule.id for rule in facing(rules, call))


def facing(rules: Ruleset, call: Action) -> list[Rule]:
    return rules.facing(call.alone, tool=call.tool, agent=call.agent, kind=call.kind)


def test_a_call_is_put_to_the_policies_that_it_could_meet() -> None:
    rules = Ruleset("acme", Standing(1, ""), map(remembering, range(MANY)))
    assert asked_by(rules, "SELECT c7 FROM t", "r1999") == ["pol_00007", "pol_01999"]
    assert asked_by(rules, "SELECT c7 FROM t LIMIT 1", "other") == []
    # What is no text shows nothing, nor does what the engine would cut or cannot hold.
    assert len(asked_by(rules, 7, "other")) == MANY
    assert len(asked_by(rules, "SELECT c7 FROM t\0", "other")) == MANY
    assert len(asked_by(rules, "SELECT \ud83d", "other")) == MANY


def test_what_changed_is_found_by_what_it_says_now() -> None:
    rules = Ruleset("acme", Standing(1, ""), map(remembering, range(MANY)))
    assert asked_by(rules, "SELECT c7 FROM t", "") == ["pol_00007"]
    other = replace(remembering(9), id="pol_00007")
    suspended = replace(remembering(8), is_active=False)
    rules = rules.changed(
        Standing(2, ""), {"pol_00007": other, "pol_00008": suspended, "pol_00009": None}
    )
    assert asked_by(rules, "SELECT c9 FROM t", "") == ["pol_00007"]
    assert "pol_00009" not in asked_by(rules, "SELECT c9 FROM t", "")
    call = Action("a", "", 0, "tool_call", "sql", {"query": "SELECT c8 FROM t"}, {})
    ruling = judge(call, facing(rules, call), default_verdict="allow")
    assert (ruling.verdict, [rule.id for rule in ruling.would]) == ("allow", ["pol_00008"])


def test_policies_that_come_one_by_one_are_found_by_their_texts_too() -> None:
    rules = Ruleset("acme", Standing(0, ""), ())
    for number in range(MANY // 10):
        rules = rules.changed(Standing(number + 1, ""), {f"pol_{number:05}": remembering(number)})
        found = asked_by(rules, f"SELECT c{number} FROM t", "")
        assert f"pol_{number:05}" in found
        assert len(found) <= shelf.UNSORTED + 1


def test_whatever_is_left_out_would_say_no() -> None:
    """Random policies that come, change and go, in whatever order, beside all of them asked."""
    chance = Random(5)
    left_out = 0
    for _ in range(40):
        rules = Ruleset("acme", Standing(0, ""), ())
        known: dict[str, Rule] = {}
        for step in range(30):
            said = worlds.policies(chance, lambda: worlds.condition(chance))
            changes: dict[str, Rule | None] = {one.id: rule_of(one) for one in said}
            gone = chance.sample(sorted(known), chance.randint(0, len(known)) // 4)
            changes |= dict.fromkeys(gone)
            rules = rules.changed(Standing(step + 1, ""), changes)
            known = {each: rule for each, rule in (known | changes).items() if rule}
            asked = worlds.question(chance)
            call = Action(
                asked.agent, "r", asked.step, asked.kind, asked.tool, asked.arguments, asked.context
            )
            about = rules.about(asked.tool, asked.agent, asked.kind)
            found = facing(rules, call)
            assert [known[rule.id] for rule in found] == found
            assert judge(call, found, default_verdict="allow", history=asked.history) == judge(
                call, about, default_verdict="allow", history=asked.history
            )
            left_out += len(about) - len(found)
    assert left_out > 100


def test_of_thousands_of_calls_only_those_are_asked_about_that_could_meet_a_condition() -> None:
    """Nearly all of them are shown to be about something else; what is said of each stays the engine's word."""
    chance = Random(6)
    asked = [worlds.question(chance) for _ in range(200)]
    acted = [
        Acted(
            each.agent, chance.choice("rq"), each.step, each.kind, each.tool, each.arguments, each.context, ""
        )
        for each in asked
    ]  # fmt: skip
    not_asked = 0
    for _ in range(300):
        condition = compile_condition(worlds.condition(chance))
        if condition.asks_of_history:
            continue
        by_the_engine = [condition.matches(each.facts()).answer for each in acted]
        with mock.patch.object(
            Condition, "matches", autospec=True, side_effect=Condition.matches
        ) as asked_of:
            assert answers(condition, acted) == by_the_engine, condition
        not_asked += len(acted) - asked_of.call_count
    assert not_asked > 1_000
