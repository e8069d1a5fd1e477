"""The page about fail modes, made from the table."""

from __future__ import annotations

from collections.abc import Iterator

from governance.failmodes import FAULTS, TABLE, Op, Outcome

HEAD = """# Fail modes: what becomes of what when something fails

Made by `manage.py failmodes --write` from `governance/failmodes.py`; a test fails when it is stale, and another one
makes each of these faults for real, tries everything meanwhile, and compares (`tests/failmodes`). Change the table,
not this page.

What decides whether something may happen (*spine*) answers yes or no, and on any doubt no: within 250 ms
(`ANTIBODY_SPINE_MS`) and what it takes to notice, however PostgreSQL fails. What tells that something happened
(*event*) is taken whatever the checks say, or asked for again; it is never lost. While a check of `/readyz` fails the
spine is closed and names the check; admin and console stay readable. A policy that was set to `fail_open` lets an
action pass when its own condition cannot tell, which the ledger's entry and the log say; it opens nothing else. Redis
can be done without. Only PostgreSQL cannot.
"""


def page() -> str:
    """The whole page in Markdown."""
    parts = [HEAD, *_table(), "", "## The words", *_words(), "", "## What is done", *_operations()]
    return "\n".join(parts) + "\n"


def _table() -> Iterator[str]:
    yield "| when | noticed | " + " | ".join(op.title for op in Op) + " |"
    yield "|---|---|" + "---|" * len(Op)
    for fault in FAULTS:
        words = " | ".join(TABLE[fault.name][op].word for op in Op)
        yield f"| {fault.title} | {fault.noticed} | {words} |"


def _words() -> Iterator[str]:
    yield ""
    for outcome in Outcome:
        limit = f" Within {outcome.seconds} s." if outcome.seconds else ""
        yield f"- **{outcome.word}**: {outcome.meaning}{limit}"


def _operations() -> Iterator[str]:
    yield ""
    for op in Op:
        yield f"- {op.title} ({op.kind}): `{op.how}`"
