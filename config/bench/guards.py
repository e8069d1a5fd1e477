"""``bench guard``, in memory: what a verdict costs beside the CEL library and beside other engines."""

from __future__ import annotations

import gc
import json
import random
import statistics
import subprocess
import time
from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Any

from policies.conditions import compile_condition
from policies.services.policy_set import Standing
from policies.services.ruleset import Rule, Ruleset
from policies.services.ruling import Action, judge

from .environments import CannotRun, python_with
from .race import ROOT, BenchError
from .rivals import without_django

APPLYING = 10
STORED = (10_000, 100_000)
ROUNDS = 7
CALLS = 300
"""In a round; each kind of call has its rounds in turn, and the least of the medians counts."""
ENGINES = {"cedarpy": "cedarpy==4.8.0", "pycasbin": "pycasbin==2.8.0"}
ENGINE_CALLS = 5
SHUFFLED = 1

# Ratios: ours divided by the other, at most; the last at least.
WANTED = {"to_library": 3.0, "growth": 1.5, "same_tool": 1.5, "to_all": 20.0}


def measure(say: Callable[[str], None]) -> dict[str, Any]:
    """The guard in memory, from the question to the ruling: found, asked, weighed. The record is not in it."""
    call = Action(
        "scout",
        "r",
        1,
        "tool_call",
        "pay",
        {"amount": 350, "currency": "EUR", "note": "x" * 40},
        {},
    )
    rules = {stored: _rules(stored) for stored in STORED}
    sets = {stored: Ruleset("bench", Standing(1, ""), rules[stored]) for stored in STORED}
    remembering = [_rule(-1 - number, "pay", _remembers(number)) for number in range(STORED[0])]
    same_tool = Ruleset("bench", Standing(1, ""), [*rules[STORED[0]], *remembering])
    say("compiling every condition of the smaller set, for the library to ask them all")
    everything = [_expression(rule) for rule in rules[STORED[0]]]
    applying = [
        _expression(rule) for rule in rules[STORED[0]] if rule.head == {"action.tool": ["pay"]}
    ]
    asked: dict[str, tuple[Callable[[], Any], int]] = {
        "library_10": (lambda: _library(applying, call), CALLS),
        "ours_10000": (lambda: _ours(sets[STORED[0]], call), CALLS),
        "ours_100000": (lambda: _ours(sets[STORED[1]], call), CALLS),
        "ours_same_tool": (lambda: _ours(same_tool, call), CALLS),
        "library_all": (lambda: _library(everything, call), 3),
    }
    _agree(asked)
    medians: dict[str, list[float]] = {name: [] for name in asked}
    # As a server that has been up for an hour: what was loaded is not looked through again.
    gc.collect()
    gc.freeze()
    for _ in range(ROUNDS):
        for name, (ask, calls) in asked.items():
            medians[name].append(_median(ask, calls))
    gc.unfreeze()
    found = {name: round(min(several) * 1e6, 2) for name, several in medians.items()}
    ours = found["ours_10000"]
    ratios: dict[str, float | None] = {
        "to_library": round(ours / found["library_10"], 2),
        "growth": round(found["ours_100000"] / ours, 2),
        "same_tool": round(found["ours_same_tool"] / ours, 2),
        "to_all": round(found["library_all"] / ours, 1),
    }
    engines = {name: _engine(name, say) for name in ENGINES}
    for name, engine in engines.items():
        ratios[name] = round(ours / engine["p50_us"], 5) if engine["p50_us"] else None
    return {
        "applying": APPLYING,
        "p50_us": found,
        "engines": engines,
        "ratios": ratios,
        "change_ms": _change_ms(sets[STORED[1]]),
        "failed": failed(ratios),
    }


def failed(ratios: Mapping[str, float | None]) -> list[str]:
    """Which ratios are not what is wanted; for the other engines nothing is."""
    return [
        name
        for name, wanted in WANTED.items()
        if (ratio := ratios[name]) is None
        or (ratio < wanted if name == "to_all" else ratio > wanted)
    ]


def _rules(stored: int) -> list[Rule]:
    """Policies of which APPLYING are about the call, in no order."""
    rules = []
    for number in range(stored):
        tool = "pay" if number < APPLYING else f"tool-{number}"
        condition = f'action.tool == "{tool}" && arguments.amount > {number * 100} && arguments.currency == "EUR"'
        rules.append(_rule(number, tool, condition))
    for rule in rules[:APPLYING]:
        head = {name: sorted(texts) for name, texts in compile_condition(rule.source).head.items()}
        if head != rule.head:
            raise BenchError(f"{rule.source} has the head {head}.")
    random.Random(SHUFFLED).shuffle(rules)  # noqa: S311 - the same order in every run
    return rules


def _rule(number: int, tool: str, condition: str) -> Rule:
    return Rule(
        id=f"pol_{number:026}",
        name=f"policy {number}",
        action="block",
        version=1,
        is_active=True,
        is_simulated=False,
        fails_open=False,
        tool="",
        agent="",
        source=condition,
        explanation="It failed before.",
        pattern_id=None,
        trace_id=None,
        incident_id=None,
        head={"action.tool": [tool]},
    )


def _remembers(number: int) -> str:
    """As policies are drafted of which nothing general is known yet: those arguments, or a word in that run."""
    return (
        f'action.tool == "pay" && ((arguments == {{"amount": {number}, "note": "to {number}"}}) || '
        f'(agent.id == "scout" && run.id == "run-{number}" && arguments.note.matches("\\b{number}\\b")))'
    )


def _ours(rules: Ruleset, call: Action) -> tuple[str, int]:
    call = replace(call)  # a decision has an action of its own, whose facts nobody has made yet
    about = rules.facing(call.alone, tool=call.tool, agent=call.agent, kind=call.kind)
    ruling = judge(call, about, default_verdict="allow")
    return ruling.verdict, len(ruling.matched)


def _expression(rule: Rule) -> Any:
    return compile_condition(rule.source).expression


def _library(expressions: list[Any], call: Action) -> tuple[str, int]:
    """The CEL library by itself: the facts once, each expression evaluated and looked at."""
    facts = call.facts()
    met = sum(1 for expression in expressions if expression.eval(facts.activation).value() is True)
    return "block" if met else "allow", met


def _agree(asked: dict[str, tuple[Callable[[], Any], int]]) -> None:
    """Whoever is timed must have said the same."""
    said = {name: ask() for name, (ask, _) in asked.items()}
    if len(set(said.values())) != 1:
        raise BenchError(f"They do not agree: {said}.")


def _median(ask: Callable[[], Any], calls: int) -> float:
    took = []
    for _ in range(calls):
        began = time.perf_counter()
        ask()
        took.append(time.perf_counter() - began)
    return statistics.median(took)


def _change_ms(rules: Ruleset) -> float:
    """One of 100,000 policies changes: what that costs a process besides reading the one row."""
    changed = _rules(APPLYING)[0]
    return round(
        min(
            _median(lambda: rules.changed(Standing(2, ""), {changed.id: changed}), 3)
            for _ in range(3)
        )
        * 1e3,
        2,
    )


def _engine(name: str, say: Callable[[str], None]) -> dict[str, Any]:
    """Another engine on the same policies, or why it could not be asked."""
    say(f"{name}, in an environment of its own")
    try:
        python = python_with(ENGINES[name])
    except CannotRun as error:
        return {"p50_us": None, "why": str(error)}
    question = {
        "engine": name,
        "stored": STORED[0],
        "applying": APPLYING,
        "rounds": 3,
        "calls": ENGINE_CALLS,
    }
    ran = subprocess.run(  # noqa: S603 - our own words
        [python, ROOT / "config" / "bench" / "programs" / "policy_engines.py"],
        input=json.dumps(question),
        env=without_django(),
        capture_output=True,
        text=True,
        check=False,
    )
    if ran.returncode:
        return {"p50_us": None, "why": " / ".join(ran.stderr.strip().splitlines()[-2:])}
    told: dict[str, Any] = json.loads(ran.stdout.splitlines()[-1])
    if not told.pop("denied"):
        raise BenchError(f"{name} allows what the policies forbid.")
    return {**told, "version": ENGINES[name].partition("==")[2]}
