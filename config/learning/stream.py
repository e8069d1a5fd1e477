"""A recorded stream of tool calls, read from a file: what an agent did, and how it went."""

from __future__ import annotations

import json
import random
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from governance.access.parsers import Unreadable, parse
from governance.models.identity import NAME_LENGTH
from policies.api.guard import LARGEST_STEP, LONGEST_MESSAGE, LONGEST_TOOL

NAMELESS_AGENT = "agent"
NAMELESS_RUN = "run"
SPARE_FOR_PASS = len("-pass-999")


class BadStream(Exception):
    """The file is no stream of calls; the message says where and why."""


class _Unplayable(ValueError):
    """A line that is JSON and no call."""


@dataclass(frozen=True, slots=True)
class Recorded:
    """One call as it was made, and how it went. ``error`` is its message, empty where it went well."""

    agent: str
    run: str
    step: int | None
    tool: str
    arguments: dict[str, Any]
    ok: bool
    error: str


def read(file: Path) -> list[Recorded]:
    """The calls of a JSONL file, in order.

    A line says at least ``tool`` and ``outcome.ok``. It may say ``arguments``, ``agent_id``, ``run_id``, ``step`` and
    ``outcome.error`` (a text, or an object with a ``message``); anything else is not looked at. What no text of ours
    can hold (NUL, half characters) is replaced. Raises BadStream, naming the line.
    """
    try:
        text = file.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise BadStream(f"{file} cannot be read: {error}") from error
    calls = []
    # Not splitlines(): inside a line may stand what only Python takes for the end of one.
    for number, line in enumerate(text.split("\n"), 1):
        if line.strip():
            try:
                calls.append(_call(line))
            except ValueError as error:
                raise BadStream(f"{file}:{number}: {error}") from error
    if not calls:
        raise BadStream(f"{file} holds no calls.")
    return calls


def shuffled(calls: Sequence[Recorded], seed: int) -> list[Recorded]:
    """The runs in another order, the same for the same seed; a run's calls stay together, since one leads to the next."""
    runs: dict[tuple[str, str], list[Recorded]] = {}
    for call in calls:
        runs.setdefault((call.agent, call.run), []).append(call)
    order = list(runs.values())
    random.Random(seed).shuffle(order)  # noqa: S311 - to be repeatable, not secret
    return [call for run in order for call in run]


def in_pass(call: Recorded, number: int) -> Recorded:
    """The same call in a run of this pass."""
    return replace(call, run=f"{call.run}-pass-{number}")


def _call(line: str) -> Recorded:
    told = _value(line)
    if not isinstance(told, dict):
        raise _Unplayable("a line is one JSON object.")
    outcome = told.get("outcome")
    if not isinstance(outcome, dict) or not isinstance(outcome.get("ok"), bool):
        raise _Unplayable("outcome.ok must be true or false.")
    return Recorded(
        agent=_name(told, "agent_id", NAME_LENGTH) or NAMELESS_AGENT,
        run=_name(told, "run_id", NAME_LENGTH - SPARE_FOR_PASS) or NAMELESS_RUN,
        step=_step(told),
        tool=_tool(told),
        arguments=_arguments(told),
        ok=outcome["ok"],
        error="" if outcome["ok"] else _message(outcome.get("error")),
    )


def _value(line: str) -> Any:
    """What a line says, as the API would take it."""
    loose = json.loads(line)
    try:
        return parse(line.encode())
    except (Unreadable, UnicodeEncodeError):
        try:
            return parse(json.dumps(_holdable(loose), ensure_ascii=False).encode())
        except Unreadable as error:
            raise _Unplayable(error.detail) from error


def _holdable(value: Any) -> Any:
    if isinstance(value, str):
        return (
            value.replace("\0", "\ufffd")
            .encode("utf-16", "surrogatepass")
            .decode("utf-16", "replace")
        )
    if isinstance(value, list):
        return [_holdable(inner) for inner in value]
    if isinstance(value, dict):
        return {_holdable(name): _holdable(inner) for name, inner in value.items()}
    return value


def _name(told: dict[str, Any], field: str, longest: int) -> str:
    """A name, which may also be a number; empty where there is none."""
    found = told.get(field)
    if found is None:
        return ""
    if isinstance(found, bool) or not isinstance(found, str | int):
        raise _Unplayable(f"{field} must be a text.")
    name = str(found)
    if len(name) > longest:
        raise _Unplayable(f"{field} has {len(name)} characters; at most {longest}.")
    return name


def _tool(told: dict[str, Any]) -> str:
    tool = told.get("tool")
    if not isinstance(tool, str) or not tool:
        raise _Unplayable("tool must be a text.")
    # A stream of commands may call the first word its tool, however long it is.
    return tool[:LONGEST_TOOL]


def _arguments(told: dict[str, Any]) -> dict[str, Any]:
    arguments = told.get("arguments")
    if arguments is None:
        return {}
    if not isinstance(arguments, dict):
        raise _Unplayable("arguments must be an object.")
    return arguments


def _step(told: dict[str, Any]) -> int | None:
    step = told.get("step")
    if step is None:
        return None
    if isinstance(step, bool) or not isinstance(step, int) or not 0 <= step <= LARGEST_STEP:
        raise _Unplayable("step must be a whole number from 0 on.")
    return step


def _message(error: Any) -> str:
    if isinstance(error, dict):
        error = error.get("message", "")
    return ("" if error is None else str(error))[:LONGEST_MESSAGE]
