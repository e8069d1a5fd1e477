"""Conditions: what a policy asks about an action, in a cut-down CEL.

The only module that touches cel-expr-python (it is young). The language is CEL without what can
build large values, because the engine counts iterations but not memory: no `+`, no `map`, `filter`
or `exists_one`, no extensions, and `exists`/`all` at most two deep. `check_environment` proves it.
"""

import re
from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import asdict, dataclass
from enum import StrEnum
from functools import cached_property, lru_cache
from typing import Any

import re2
from cel_expr_python import cel

from policies import syntax, variables
from policies.rules.history import History
from policies.syntax import Where
from policies.variables import Type

SOURCE_LIMIT = 2_048
"""Bytes of UTF-8. `||` ten thousand times compiled in 142 ms; this compiles in a few."""

MACRO_DEPTH = 2
"""`exists` or `all` within each other. Each level can multiply the size of a value compared without
touching the iteration budget: seven levels and 340 characters took half a second, two take 10 ms."""

COST_LIMIT = 5_000
"""Steps, as `cost_of` estimates them: what is refused as too expensive could take over a millisecond."""

LOOP_ASSUMED = 10
"""Elements that a loop over something unknown is taken to have."""

ERROR_TEXT_LIMIT = 300

_TYPES = {
    Type.STRING: cel.Type.STRING,
    Type.INT: cel.Type.INT,
    Type.DOUBLE: cel.Type.DOUBLE,
    Type.MAP: cel.Type.Map(cel.Type.STRING, cel.Type.DYN),
    Type.STRINGS: cel.Type.List(cel.Type.STRING),
}

# Qualified names and not maps, so that a misspelt one is refused when the condition is saved instead of
# being an error at every decision.
VARIABLES: dict[str, cel.Type] = {one.name: _TYPES[one.type] for one in variables.ALL}

# Excluding all of `_+_`, since excluding only its string overloads leaves dyn + dyn.
_LANGUAGE = """
stdlib:
  exclude_macros: ["map", "filter", "exists_one"]
  exclude_functions:
    - name: "_+_"
"""

_FORBIDDEN = (
    '["a"].map(x, x) == []',
    '["a"].map(x, true, x) == []',
    '["a"].filter(x, true) == []',
    '["a"].exists_one(x, true)',
    '"a" + "b" == "ab"',
    "[1] + [1] == []",
    'dyn("a") + dyn("b") == "ab"',
    'arguments.a + arguments.a == ""',
    'b"a" + b"b" == b"ab"',
    "cel.bind(x, [1], x == x)",
    "optional.of(1).optMap(x, x) == optional.of(1)",
    "[1].transformList(i, x, x) == []",
    '"a".replace("a", "aa") == ""',
    '["a"].join("b") == ""',
    '"%s".format(["a"]) == ""',
    "lists.range(9) == []",
)

_PERMITTED = (
    'action.kind == "tool_call" && action.tool == "probe" && agent.id == "a" && run.id == "r"',
    "run.step == 1 && run.step - 1 == 0",
    '[1, 2].exists(x, x == 2) && [1, 2].all(x, x > 0) && has(arguments.a) && "a" in arguments',
    'arguments == {"a": [1.0, {"b": null}]}',
    '"a b".matches("\\\\bb$") && "ab".startsWith("a") && "ab".contains("b") && size("ab") == 2',
    "type(arguments.a) == list && context == {}",
    "action.arguments == arguments && history.calls == 3 && history.same_call_failures == 2",
)

# Facts that nobody told are no facts: neither true nor false.
_UNTOLD = ('model.name == "m"', "tokens.input == 5", "cost.usd < 0.5", '"kb" in data_sources')


class Answer(StrEnum):
    """What a condition says about one action."""

    YES = "yes"
    NO = "no"
    ERROR = "error"


@dataclass(frozen=True, slots=True)
class Match:
    """One answer; `text` says why it is an error and is empty otherwise."""

    answer: Answer
    text: str = ""

    def __bool__(self) -> bool:
        # A bare `if condition.matches(...)` would let errors pass, or block, by accident.
        raise TypeError("a match has three answers: compare .answer")


_YES = Match(Answer.YES)
_NO = Match(Answer.NO)


class ConditionError(ValueError):
    """A condition that cannot be saved: `field` is the form's field, `message` for its author."""

    def __init__(self, field: str, message: str) -> None:
        super().__init__(message)
        self.field = field
        self.message = message


class UnsafeEnvironment(RuntimeError):
    """The CEL engine accepts what it must refuse, or no longer understands what policies say."""


def _environment() -> cel.Env:
    return cel.NewEnv(config=cel.NewEnvConfigFromYaml(_LANGUAGE), variables=VARIABLES)


_ENVIRONMENT = _environment()
_HELD = _ENVIRONMENT.compile("size(arguments) >= 0")


@dataclass(frozen=True)
class Facts:
    """One request as the engine sees it. ``said`` are its variables, for what can be told without the engine."""

    activation: cel.Activation
    said: dict[str, Any]

    @cached_property
    def are_held(self) -> bool:
        """Whether the engine can hold all of it: where it cannot, a condition about that is an ERROR."""
        texts = "".join(each for each in self.said.values() if isinstance(each, str))
        try:
            texts.encode()
            return _HELD.eval(self.activation).value() is True
        except (RuntimeError, UnicodeError):  # half a character somewhere
            return False

    def text_at(self, where: Where) -> str | None:
        """The text that is there; None where there is none, or where the engine would read it otherwise."""
        said: Any = self.said
        for name in where:
            if not isinstance(said, dict):
                return None
            said = said.get(name)
        return said if isinstance(said, str) and "\0" not in said else None


@dataclass(frozen=True, slots=True)
class Sign:
    """What a text of the call must show, made ready to be looked for (`syntax.Sign`)."""

    where: Where
    text: str | None
    pattern: Any

    def is_missing(self, facts: Facts) -> bool:
        """Whether there is a text, and it does not show this."""
        said = facts.text_at(self.where)
        if said is None or said == self.text:
            return False
        return self.pattern is None or self.pattern.search(said) is None


@dataclass(frozen=True, slots=True)
class Search:
    """Signs of which one must be there wherever a condition is true."""

    signs: tuple[Sign, ...]

    def fails(self, facts: Facts) -> bool:
        """Whether none is there, each where it is looked for."""
        try:
            for sign in self.signs:
                if not sign.is_missing(facts):
                    return False
        except UnicodeEncodeError:  # half a character
            return False
        return facts.are_held


class Condition:
    """A compiled condition. Immutable; may be evaluated by several threads at once."""

    def __init__(self, source: str, expression: cel.Expression) -> None:
        self.source = source
        self.expression = expression
        # The engine makes a regular expression anew each time it is asked: forty times what searching takes; and of a
        # tool's many policies nearly each says no because of one text. Where one of a conjunction is not found the
        # answer is no, whatever the other parts say or cannot say.
        self.searches: Sequence[Search] = ()

    @cached_property
    def reads(self) -> frozenset[str]:
        """The variables it asks about."""
        return syntax.names(self.tree())

    @cached_property
    def asks_of_history(self) -> frozenset[str]:
        """The counters of the run that it asks about."""
        # Every question of the guard wants to know; nearly none needs a tree for that.
        return self.reads & variables.HISTORY if "history" in self.source else frozenset()

    @property
    def found_by(self) -> Sequence[tuple[Where, str]]:
        """Where which texts are looked for, of which one must be there wherever it is true; none for any other condition."""
        for search in self.searches:
            found = [(sign.where, sign.text) for sign in search.signs if sign.text is not None]
            if len(found) == len(search.signs):
                return found
        return ()

    @property
    def head(self) -> dict[str, frozenset[str]]:
        """What it can only be true of: texts by variable (`syntax.equalities`)."""
        return syntax.equalities(self.tree())

    def matches(self, facts: Facts) -> Match:
        """Ask it about one action. Never raises: whatever is not a plain true or false is ERROR."""
        for search in self.searches:
            if search.fails(facts):
                return _NO
        try:
            answer = self.expression.eval(facts.activation).value()
        except (RuntimeError, UnicodeError) as error:  # over budget; a lone surrogate
            return Match(Answer.ERROR, _readable(str(error))[:ERROR_TEXT_LIMIT])
        # An evaluation error comes back as a value of type ERROR holding a (truthy) string. Nothing else can: what
        # is not of type BOOL does not compile here.
        if answer is True:
            return _YES
        if answer is False:
            return _NO
        return Match(Answer.ERROR, _readable(str(answer))[:ERROR_TEXT_LIMIT])

    def tree(self) -> syntax.Tree:
        """It as the engine understood it. Made anew each time: thousands are kept compiled."""
        return syntax.read(self.expression.serialize())

    def __repr__(self) -> str:
        return f"Condition({self.source!r})"


def activation(
    *,
    action: Mapping[str, Any],
    arguments: Mapping[str, Any],
    context: Mapping[str, Any],
    agent: Mapping[str, Any],
    run: Mapping[str, Any],
    history: History | None = None,
) -> Facts:
    """The facts of one request, each converted when a condition first asks, and shared by all conditions.

    Values must come from the strict JSON parser: the engine cuts strings at a NUL, and one value it
    cannot hold (an integer over 64 bits) makes every condition about that variable an ERROR, though
    not conditions about other variables. What is missing or None stays undefined; without a history so
    do its counters.
    """
    facts = {
        "action.kind": action.get("kind"),
        "action.tool": action.get("tool"),
        "action.arguments": arguments,
        "arguments": arguments,
        "context": context,
        "agent.id": agent.get("id"),
        "run.id": run.get("id"),
        "run.step": run.get("step"),
        **(variables.told(context) if context else {}),
    }
    if history is not None:
        facts |= {f"history.{name}": count for name, count in asdict(history).items()}
    known = {name: value for name, value in facts.items() if value is not None}
    return Facts(_ENVIRONMENT.Activation(known), known)


def partly_known(facts: Mapping[str, Any]) -> Facts:
    """Some variables by their names in VARIABLES; whatever asks for another one is an ERROR."""
    return Facts(_ENVIRONMENT.Activation(dict(facts)), {})


@lru_cache(maxsize=16_384)
def compile_condition(source: str) -> Condition:
    """Compile a condition, or raise ConditionError saying what its author should change.

    Compiled conditions are kept by source, so asking again costs nothing; errors are not kept.
    """
    return _compile(source, _ENVIRONMENT)


def _compile(source: str, environment: cel.Env) -> Condition:
    _check_text(source)
    try:
        expression = environment.compile(source)
    except (RuntimeError, UnicodeError) as error:
        raise ConditionError("condition", _readable(str(error))) from error
    if expression.return_type() != cel.Type.BOOL:
        raise ConditionError(
            "condition", "A condition must be true or false; compare with something."
        )
    condition = Condition(source, expression)
    # A tree takes longer than compiling.
    if _MAY_COST.search(source) or _MAY_BE_SOUGHT.search(source):
        tree = condition.tree()
        if _MAY_COST.search(source):
            _check_tree(tree)
        condition.searches = tuple(_searches(tree))
    return condition


def _searches(tree: syntax.Tree) -> Iterator[Search]:
    for signs in syntax.needed(tree):
        if len(signs) == 1 and len(signs[0].where) == 1 and signs[0].where != ("run.id",):
            continue  # what it is found by in the first place: a tool, a kind, an agent
        # One that we cannot make is left to the engine, which has made it just now.
        with suppress(re2.error):
            yield Search(
                tuple(
                    Sign(one.where, one.text, re2.compile(one.pattern) if one.pattern else None)
                    for one in signs
                )
            )


# Only loops multiply, and SOURCE_LIMIT bytes without one stay far below COST_LIMIT.
_MAY_COST = re.compile(r"exists|all|matches")
_MAY_BE_SOUGHT = re.compile(r"arguments == |run\.id == ")


def _check_tree(tree: syntax.Tree) -> None:
    if syntax.loops_deep(tree) > MACRO_DEPTH:
        raise ConditionError(
            "condition", f"exists() and all() may nest at most {MACRO_DEPTH} deep."
        )
    if (cost := syntax.cost_of(tree, LOOP_ASSUMED)) > COST_LIMIT:
        raise ConditionError(
            "condition",
            f"This condition may take {cost} steps, and at most {COST_LIMIT} are allowed: shorten what"
            " exists() and all() go through or ask.",
        )
    for pattern in syntax.patterns(tree):
        _check_pattern(pattern)


def _check_text(source: str) -> None:
    try:
        size = len(source.encode())
    except UnicodeEncodeError as error:
        raise ConditionError("condition", "A condition must be valid Unicode text.") from error
    if not source.strip():
        raise ConditionError("condition", "A condition must not be empty.")
    if size > SOURCE_LIMIT:
        raise ConditionError(
            "condition", f"A condition has at most {SOURCE_LIMIT} bytes, not {size}."
        )
    if "\0" in source:
        raise ConditionError("condition", "A condition must not contain a NUL character.")


_STATUS = re.compile(r"^[A-Z_]+: | \[[A-Z_]+\]$")


# What the engine says of a call, in words of who wrote the condition.
_IN_WORDS = (
    (re.compile(r'No value with name "([^"]+)" found in Activation'), r"\1 is missing"),
    (re.compile(r'Key not found in map : "(.*)"', re.DOTALL), r'"\1" is missing'),
    (
        re.compile(r"No matching overloads found : _(\S+)_\((\w+), (\w+)\)"),
        r"\2 \1 \3 cannot be compared",
    ),
)


def _readable(error: str) -> str:
    """CEL's message without its status codes."""
    text = _STATUS.sub("", error)
    for said, in_words in _IN_WORDS:
        if (found := said.fullmatch(text)) is not None:
            return found.expand(in_words)
    return text.replace(" (in container '')", "").replace("ERROR: <input>:", "")


_PATTERN = cel.NewEnv(variables={"pattern": cel.Type.STRING}).compile('"".matches(pattern)')


def _check_pattern(pattern: str) -> None:
    """Refuse a broken regular expression now: it would be an ERROR at every decision."""
    probe = _PATTERN.eval(data={"pattern": pattern})
    if probe.type() != cel.Type.BOOL:
        raise ConditionError("condition", f"{pattern!r}: {_readable(str(probe.value()))}")


def check_environment(environment: cel.Env | None = None) -> None:
    """Prove that the engine refuses what it must and answers as policies rely on; else raise.

    Run at start: unknown keys of the engine's configuration are accepted silently, so a new version
    could bring the dangerous part of the language back without a word.
    """
    environment = environment or _ENVIRONMENT
    for source in _FORBIDDEN:
        if _compiles(source, environment):
            raise UnsafeEnvironment(f"accepts {source}")
    facts = activation(
        action={"kind": "tool_call", "tool": "probe"},
        arguments={"a": [1, {"b": None}]},
        context={},
        agent={"id": "a"},
        run={"id": "r", "step": 1},
        history=History(same_call_failures=2, calls=3),
    )
    expected = [(source, Answer.YES) for source in _PERMITTED]
    expected += [(source, Answer.ERROR) for source in _UNTOLD]
    expected += [("arguments.missing == 1", Answer.ERROR), ("arguments.a == true", Answer.NO)]
    for source, answer in expected:
        given = _answer(source, environment, facts)
        if given.answer is not answer:
            raise UnsafeEnvironment(f"answers {given} to {source}")


def _compiles(source: str, environment: cel.Env) -> bool:
    try:
        environment.compile(source)
    except RuntimeError:
        return False
    return True


def _answer(source: str, environment: cel.Env, facts: Facts) -> Match:
    try:
        return _compile(source, environment).matches(facts)
    except ConditionError as error:
        return Match(Answer.ERROR, error.message)
