"""The guard beside a second one that was written from the specification alone: no difference, whatever they are asked.

Twenty thousand random pairs of a policy set and a question in every run of the suite; a million with
``ANTIBODY_PAIRS=1000000 pytest tests/policies/test_reference.py``.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from dataclasses import asdict, replace
from random import Random
from typing import Any

import pytest

from policies.conditions import Answer, activation, compile_condition
from policies.services.policy_set import HEADS, Standing
from policies.services.ruleset import Rule, Ruleset
from policies.services.ruling import Action, judge
from policies.variables import ALL

from . import reference, worlds
from .worlds import Asked, Said

PAIRS = int(os.environ.get("ANTIBODY_PAIRS", "20000"))
SEED = int(os.environ.get("ANTIBODY_SEED", "1"))
QUESTIONS = 20
"""Asked about each policy set."""
CONDITIONS = 400
"""From which the policies of a batch of sets take theirs: compiling is what takes the time."""
SETS = 100
"""In a batch."""

NAMES = frozenset(one.name for one in ALL)


def rule_of(said: Said) -> Rule:
    head = compile_condition(said.condition).head
    return Rule(
        id=said.id,
        name=said.id,
        action=said.action,
        version=1,
        is_active=said.is_active,
        is_simulated=False,
        fails_open=said.fails_open,
        tool=said.tool,
        agent=said.agent,
        source=said.condition,
        explanation="",
        pattern_id=None,
        trace_id=None,
        incident_id=None,
        head={name: sorted(head[name]) for name in HEADS if name in head},
    )


def guarded(rules: Ruleset, asked: Asked, default: str) -> reference.Verdict:
    """What the guard says."""
    action = Action(
        asked.agent, "r", asked.step, asked.kind, asked.tool, asked.arguments, asked.context
    )
    about = rules.facing(action.alone, tool=asked.tool, agent=asked.agent, kind=asked.kind)
    ruling = judge(action, about, default_verdict=default, history=asked.history)
    return reference.Verdict(
        ruling.verdict,
        ruling.matched[0].id if ruling.matched else None,
        _ids(ruling.matched),
        _ids(ruling.would),
        _ids([rule for rule, _ in ruling.failed_open]),
    )


def _ids(rules: Sequence[Rule]) -> frozenset[str]:
    return frozenset(rule.id for rule in rules)


def facts_of(asked: Asked) -> dict[str, Any]:
    """What is known of a question, by the names of the documentation."""
    told = {
        "model.name": asked.context.get("gen_ai.request.model"),
        "tokens.input": asked.context.get("gen_ai.usage.input_tokens"),
        "cost.usd": asked.context.get("cost_usd"),
        "data_sources": asked.context.get("gen_ai.data_source.id"),
        "environment": asked.context.get("deployment.environment.name"),
        "run.step": asked.step,
    }
    if isinstance(told["data_sources"], str):
        told["data_sources"] = [told["data_sources"]]
    if told["cost.usd"] is not None:
        told["cost.usd"] = float(told["cost.usd"])
    return {
        "action.kind": asked.kind,
        "action.tool": asked.tool,
        "action.arguments": asked.arguments,
        "arguments": asked.arguments,
        "context": asked.context,
        "agent.id": asked.agent,
        "run.id": "r",
        **{name: value for name, value in told.items() if value is not None},
        **{f"history.{name}": count for name, count in asdict(asked.history).items()},
    }


def policy_of(said: Said, read: Callable[[str], reference.Expression]) -> reference.Policy:
    return reference.Policy(
        said.id, said.action, read(said.condition), said.tool, said.agent, said.is_active, said.fails_open
    )  # fmt: skip


def batch(random: Random) -> tuple[list[list[Said]], dict[str, reference.Expression]]:
    """Policy sets, and their conditions as the reference reads them."""
    words = [worlds.condition(random) for _ in range(CONDITIONS)]
    read = {source: reference.Reader.read(source, NAMES) for source in words}
    return [worlds.policies(random, lambda: random.choice(words)) for _ in range(SETS)], read


def test_no_pair_of_a_policy_set_and_a_question_is_judged_differently() -> None:
    random, asked_so_far, differences, verdicts = Random(SEED), 0, [], set()
    while asked_so_far < PAIRS:
        sets, read = batch(random)
        for saids in sets:
            rules = Ruleset("acme", Standing(1, ""), map(rule_of, saids))
            policies = [policy_of(said, read.__getitem__) for said in saids]
            for _ in range(QUESTIONS):
                asked, default = worlds.question(random), random.choice(("allow", "block"))
                ours = guarded(rules, asked, default)
                theirs = reference.verdict(policies, facts_of(asked), default=default)
                verdicts.add(ours.action)
                asked_so_far += 1
                if ours != theirs:
                    differences.append((ours, theirs, saids, asked))
        assert not differences, f"{len(differences)} of {asked_so_far}: {differences[0]}"
    assert verdicts == {"allow", *worlds.ACTIONS}


@pytest.mark.parametrize("seed", range(10))
def test_a_hundred_shuffles_never_change_a_verdict(seed: int) -> None:
    random = Random(f"shuffle {seed}")
    saids = worlds.policies(random, lambda: worlds.condition(random), most=12)
    questions = [worlds.question(random) for _ in range(5)]
    rules = [rule_of(said) for said in saids]
    told = [guarded(Ruleset("acme", Standing(1, ""), rules), asked, "allow") for asked in questions]
    for turn in range(100):
        shuffled = random.sample(rules, len(rules))
        # Loaded at once, or one change after the other.
        ruleset = Ruleset("acme", Standing(1, ""), shuffled if turn % 2 else ())
        for rule in shuffled:
            ruleset = ruleset.changed(Standing(1, ""), {rule.id: rule})
        assert [guarded(ruleset, asked, "allow") for asked in questions] == told


def test_a_condition_is_answered_alike_one_by_one() -> None:
    """Nearer to the fault than a verdict would be, when there is one."""
    random = Random(f"conditions {SEED}")
    answers = set()
    for _ in range(1_000):
        source = worlds.condition(random)
        ours, theirs = compile_condition(source), reference.Reader.read(source, NAMES)
        for _ in range(5):
            asked = worlds.question(random)
            said = ours.matches(_activation(asked)).answer
            answers.add(said)
            assert said is _answer(theirs, asked), f"{source} about {asked}"
    assert answers == set(Answer)


def _activation(asked: Asked) -> Any:
    return activation(
        action={"kind": asked.kind, "tool": asked.tool},
        arguments=asked.arguments,
        context=asked.context,
        agent={"id": asked.agent},
        run={"id": "r", "step": asked.step},
        history=asked.history,
    )


def _answer(condition: reference.Expression, asked: Asked) -> Answer:
    try:
        return Answer.YES if condition(facts_of(asked)) is True else Answer.NO
    except reference.Fault:
        return Answer.ERROR


def test_the_reference_itself_notices_a_difference() -> None:
    """Given a guard that forgets one policy, or lets the weaker win: the comparison is no empty one."""
    random = Random("sabotage")
    noticed = 0
    for _ in range(50):
        saids = worlds.policies(random, lambda: worlds.condition(random, 1))
        for asked in (worlds.question(random) for _ in range(10)):
            policies = [
                policy_of(said, lambda source: reference.Reader.read(source, NAMES))
                for said in saids
            ]
            theirs = reference.verdict(policies, facts_of(asked), default="allow")
            if theirs.decided_by is None:
                continue
            weakened = [
                replace(one, action="warn") if one.id == theirs.decided_by else one for one in saids
            ]
            ours = guarded(Ruleset("acme", Standing(1, ""), map(rule_of, weakened)), asked, "allow")
            noticed += ours != theirs
    assert noticed
