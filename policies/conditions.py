"""Conditions: what a policy asks about an action, in a cut-down CEL.

The only module that touches cel-expr-python (it is young). The language is CEL without what can
build large values, because the engine counts iterations but not memory: no `+`, no `map`, `filter`
or `exists_one`, no extensions, and `exists`/`all` at most two deep. `check_environment` proves it.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from functools import lru_cache
from typing import Any

from cel_expr_python import cel

SOURCE_LIMIT = 2_048
"""Bytes of UTF-8. `||` ten thousand times compiled in 142 ms; this compiles in a few."""

MACRO_DEPTH = 2
"""`exists` or `all` within each other. Each level can multiply the size of a value compared without
touching the iteration budget: seven levels and 340 characters took half a second, two take 10 ms."""

ERROR_TEXT_LIMIT = 300

# action.*, agent.* and run.* are qualified names and not maps, so that a misspelt one is refused when
# the condition is saved instead of being an error at every decision.
VARIABLES: dict[str, cel.Type] = {
    "action.kind": cel.Type.STRING,
    "action.tool": cel.Type.STRING,
    "arguments": cel.Type.Map(cel.Type.STRING, cel.Type.DYN),
    "context": cel.Type.Map(cel.Type.STRING, cel.Type.DYN),
    "agent.id": cel.Type.STRING,
    "run.id": cel.Type.STRING,
    "run.step": cel.Type.INT,
}

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
)


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


class Condition:
    """A compiled condition. Immutable; may be evaluated by several threads at once."""

    __slots__ = ("_expression", "source")

    def __init__(self, source: str, expression: cel.Expression) -> None:
        self.source = source
        self._expression = expression

    def matches(self, activation: cel.Activation) -> Match:
        """Ask it about one action. Never raises: whatever is not a plain true or false is ERROR."""
        try:
            value = self._expression.eval(activation)
            kind, answer = value.type(), value.value()
        except (RuntimeError, UnicodeError) as error:  # over budget; a lone surrogate
            return Match(Answer.ERROR, str(error)[:ERROR_TEXT_LIMIT])
        # An evaluation error comes back as a value of type ERROR holding a (truthy) string.
        if kind == cel.Type.BOOL:
            return _YES if answer is True else _NO
        return Match(Answer.ERROR, str(answer)[:ERROR_TEXT_LIMIT])

    def __repr__(self) -> str:
        return f"Condition({self.source!r})"


def activation(
    *,
    action: Mapping[str, Any],
    arguments: Mapping[str, Any],
    context: Mapping[str, Any],
    agent: Mapping[str, Any],
    run: Mapping[str, Any],
) -> cel.Activation:
    """The facts of one request, converted once and shared by all conditions asked about it.

    Values must come from the strict JSON parser: the engine cuts strings at a NUL, and one value it
    cannot hold (an integer over 64 bits) makes every condition about that variable an ERROR, though
    not conditions about other variables. What is missing or None stays undefined.
    """
    facts = {
        "action.kind": action.get("kind"),
        "action.tool": action.get("tool"),
        "arguments": arguments,
        "context": context,
        "agent.id": agent.get("id"),
        "run.id": run.get("id"),
        "run.step": run.get("step"),
    }
    return _ENVIRONMENT.Activation(
        {name: value for name, value in facts.items() if value is not None}
    )


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
    code, strings = _set_strings_aside(source)
    if _macro_depth(code) > MACRO_DEPTH:
        raise ConditionError(
            "condition", f"exists() and all() may nest at most {MACRO_DEPTH} deep."
        )
    for number in _PATTERN.findall(code):
        _check_pattern(strings[int(number)], environment)
    return Condition(source, expression)


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


def _readable(error: str) -> str:
    """CEL's message without its status codes."""
    text = _STATUS.sub("", error)
    return text.replace(" (in container '')", "").replace("ERROR: <input>:", "")


_STRING_OR_COMMENT = re.compile(
    r"""
    (?P<string>
        (?: [bB]?[rR] | [rR][bB] ) (?: \"{3}.*?\"{3} | '{3}.*?'{3} | "[^"\n]*" | '[^'\n]*' )
      | [bB]? (?: \"{3}(?:\\.|[^\\])*?\"{3} | '{3}(?:\\.|[^\\])*?'{3} )
      | [bB]? (?: "(?:\\.|[^"\\\n])*" | '(?:\\.|[^'\\\n])*' )
    )
    | //[^\n]*
    """,
    re.VERBOSE | re.DOTALL,
)
_BRACKET = re.compile(r"(?P<macro>\.\s*(?:exists|all)\s*\()|(?P<open>[(\[{])|(?P<close>[)\]}])")
_PATTERN = re.compile(r'matches\s*\([^()]*?"(\d+)"\s*\)')


def _set_strings_aside(source: str) -> tuple[str, list[str]]:
    """The code with each string literal replaced by its number in quotes, and the literals."""
    strings: list[str] = []

    def number(found: re.Match[str]) -> str:
        if not found["string"]:
            return " "
        strings.append(found["string"])
        return f'"{len(strings) - 1}"'

    return _STRING_OR_COMMENT.sub(number, source), strings


def _macro_depth(code: str) -> int:
    deepest = 0
    inside: list[bool] = []
    for token in _BRACKET.finditer(code):
        if token["close"]:
            inside.pop()
        else:
            inside.append(token["macro"] is not None)
            deepest = max(deepest, sum(inside))
    return deepest


def _check_pattern(pattern: str, environment: cel.Env) -> None:
    """Refuse a broken regular expression now: it would be an ERROR at every decision."""
    probe = environment.compile(f'"".matches({pattern})').eval()
    if probe.type() != cel.Type.BOOL:
        raise ConditionError("condition", f"{pattern}: {_readable(str(probe.value()))}")


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
    )
    expected = [(source, Answer.YES) for source in _PERMITTED]
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


def _answer(source: str, environment: cel.Env, facts: cel.Activation) -> Match:
    try:
        return _compile(source, environment).matches(facts)
    except ConditionError as error:
        return Match(Answer.ERROR, error.message)
