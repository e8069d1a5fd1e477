"""The page about conditions, made from the variables and the limits that the guard itself uses."""

from __future__ import annotations

from collections.abc import Iterator

from policies import conditions, variables
from policies.models import Decision, Policy
from policies.rules.failures import FAILURES, MEANING, Becomes

HEAD = """# Conditions: what a policy may ask

Made by `manage.py conditions --write` from `policies/variables.py`, `policies/conditions.py` and
`policies/rules/failures.py`; a test fails when it is stale. Change those, not this page.

A condition is one expression in CEL (https://cel.dev) that is true or false about one action that an agent is about to
take: `action.tool == "refund" && arguments.amount > 100`. It is checked when it is saved, against the names below and
their types, compiled once, and asked at every action that it could be about.
"""

WRITING = """## Writing one

- Compare with `==`, `!=`, `<`, `<=`, `>`, `>=`, `in`; combine with `&&`, `||`, `!` and brackets; `a ? b : c`.
- Texts: `contains()`, `startsWith()`, `endsWith()`, `size()`, and `matches()` with an RE2 pattern.
- Lists and maps: `size()`, `in`, `exists(x, …)`, `all(x, …)`, `arguments["odd name"]`.
- `has(arguments.amount)` asks whether something is there; for something deeper ask each step:
  `has(arguments.card) && has(arguments.card.limit)`.
- `&&` and `||` answer even when one side has no answer, if the other decides: `has(arguments.n) && arguments.n > 3`.
- An integer and a fraction that are equal are equal (`1 == 1.0`); a text never equals a number.
- A part `action.tool == "…"`, `action.kind == "…"` or `agent.id == "…"` (or `in ["…", "…"]`, up to 16 of them) at the
  top of the condition, joined by `&&`, is looked up instead of asked: a policy about one tool costs nothing where
  another is called, and nothing else in it is asked there.
- A part `arguments.query.matches("…")`, `arguments == {…}` with a text in it, or `run.id == "…"`, joined by `&&` at the
  top, is looked for first, with an expression that is made once; of alternatives that `||` joins, one such part of each.
  Where none is found the answer is no, and the rest is not asked. Anywhere else the engine makes an expression anew for
  each question (80 microseconds).
- Not in this language: `+`, `map`, `filter`, `exists_one` and functions of one's own, because the engine counts steps
  and not memory.
"""

WINNING = """`kill`, then `block`, `escalate`, `route_away`, `warn`, `allow`; of equals the policy with the lowest id is named. The
order in which policies were made, changed, stored or asked never matters. Where none speaks, the tenant's
`default_verdict` holds.
"""


def page() -> str:
    """The whole page in Markdown."""
    parts = [
        HEAD,
        "## Names",
        "",
        *_names(),
        "",
        *_kinds(),
        "",
        WRITING,
        "## When it cannot tell",
        "",
        *_failures(),
        "",
        "## Which one decides",
        "",
        WINNING,
        "## Since when it holds",
        "",
        *_binding(),
        "",
        "## Limits",
        "",
        *_limits(),
    ]
    return "\n".join(parts) + "\n"


def _names() -> Iterator[str]:
    yield "| name | type | what it is | unit | missing when | told as, in `context` |"
    yield "|---|---|---|---|---|---|"
    for one in variables.ALL:
        key = f"`{one.key}`" if one.key else ""
        yield f"| `{one.name}` | {one.type} | {one.meaning} | {one.unit} | {one.missing} | {key} |"
    yield ""
    yield (
        "Keys of `context` are those of OpenTelemetry's GenAI conventions where these have one. A value of another type"
        " under such a key is refused with 400 and named. A call counts in `history` when the guard let it through; it"
        " failed or went well when the agent said so; the counters cover this run, up to what was committed when the"
        " decision began. Counting costs one more statement, and only where a condition asks."
    )


def _kinds() -> Iterator[str]:
    kinds = ", ".join(f"`{kind}`" for kind in Decision.Kind.values)
    yield f"Kinds of action (`action.kind`): {kinds}."


def _limits() -> Iterator[str]:
    yield "A condition beyond one of these is refused when it is saved, with the limit named."
    yield ""
    yield f"- Length: {conditions.SOURCE_LIMIT} bytes of UTF-8."
    yield f"- Nesting: `exists` and `all` at most {conditions.MACRO_DEPTH} within each other; brackets and literals 32 deep."
    yield (
        f"- Cost: {conditions.COST_LIMIT} steps. Each part counts one; what is inside `exists` or `all` counts once for"
        f" each element of a list that is written out, and {conditions.LOOP_ASSUMED} times for any other."
    )
    yield f"- Names that an agent tells: {variables.TEXT_LIMIT} characters, {variables.SOURCES_LIMIT} data sources."
    yield "- When it is asked, `exists` and `all` together go through at most 10,000 elements; beyond it has no answer."


def _failures() -> Iterator[str]:
    closed, opened = Policy.FailureMode.FAIL_CLOSED, Policy.FailureMode.FAIL_OPEN
    yield (
        f"Neither true nor false: then the policy's `failure_mode` decides, `{closed}` unless it was set otherwise. A"
        " policy in shadow that cannot tell says nothing."
    )
    yield ""
    yield f"| when | for example | `{closed}` | `{opened}` |"
    yield "|---|---|---|---|"
    for one in FAILURES:
        yield f"| {one.title} | {one.example} | {one.closed} | {one.open} |"
    yield ""
    yield from (f"- **{word}**: {MEANING[word]}" for word in Becomes)


def _binding() -> Iterator[str]:
    says = {
        Policy.BindAt.EACH_STEP: "every run, from its next decision after the policy came into force (the default)",
        Policy.BindAt.FIRST_TOKEN: "runs that had not been allowed a call of a model (`llm_call`) when it came into force",
        Policy.BindAt.RUN_START: "runs that began after it had come into force",
    }
    yield from (f"- `bind_at: {moment}`: {says[moment]}." for moment in Policy.BindAt)
    yield ""
    yield (
        "What counts is the revision of the policy set, not a clock; new words count as coming into force. Out of force"
        " is out of force: a suspended, retired or demoted policy holds for no decision that begins after the commit,"
        " in any process, wherever it was bound. Every decision carries the hash of the whole set that it was made"
        " under; `GET /api/v1/policy-sets/{hash}` shows it."
    )
