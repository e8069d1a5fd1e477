"""A policy file, read strictly: every name known, every value of its type, every problem with its line."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, fields
from pathlib import Path
from typing import Any, Final

import yaml

from policies.conditions import ConditionError, compile_condition
from policies.rules import STRENGTH, History

VERSION: Final = 1
SIZE_LIMIT: Final = 1_000_000
"""Bytes of a file."""
DEPTH_LIMIT: Final = 32
NODES_LIMIT: Final = 100_000
"""Values, keys included, in one file. Aliases are refused, so nothing is larger than it is written."""

_PLACE = re.compile(r"(\d+):\d+: ")
"""How the engine begins what it says about a condition: line and column."""

ACTIONS: Final = ("block", "warn", "escalate", "route_away", "kill")
CATEGORIES: Final = ("safety", "privacy", "operational", "routing", "custom")
FAILURE_MODES: Final = ("fail_closed", "fail_open")
MOMENTS: Final = ("each_step", "run_start", "first_token")
KINDS: Final = ("tool_call", "llm_call", "data_access", "external_call", "agent_spawn", "command")
COUNTERS: Final = tuple(one.name for one in fields(History))
NAME_LIMIT: Final = 300
TOOL_LIMIT: Final = 200
NAMES_LIMIT: Final = 200


@dataclass(frozen=True, slots=True, order=True)
class Problem:
    """Something wrong at a place. ``code`` is one word for machines; errors stop an import, warnings do not."""

    file: str
    line: int
    code: str
    text: str
    is_error: bool = True

    def __str__(self) -> str:
        level = "error" if self.is_error else "warning"
        return f"{self.file}:{self.line}: {level}: {self.text} [{self.code}]"


@dataclass(frozen=True, slots=True)
class Case:
    """A call, and the verdict that these policies shall give it."""

    line: int
    name: str
    expect: str
    tool: str
    arguments: Mapping[str, Any]
    kind: str = "tool_call"
    context: Mapping[str, Any] = field(default_factory=dict)
    agent: str = "agent"
    run: str = "run"
    step: int | None = 0
    history: Mapping[str, int] = field(default_factory=dict)
    """Counters of the run before this call, as in `docs/conditions.md`; those left out are 0."""


@dataclass(frozen=True, slots=True)
class FiledPolicy:
    """One policy of a file; what its life was or will be is not part of it."""

    file: str
    line: int
    name: str
    condition: str
    action: str = "block"
    category: str = "custom"
    agent: str = ""
    tool: str = ""
    failure_mode: str = "fail_closed"
    bind_at: str = "each_step"
    tests: tuple[Case, ...] = ()

    @property
    def content(self) -> dict[str, str]:
        """What it says, without where it stands and how it is tested: two with the same content are one policy."""
        names = (
            "name",
            "condition",
            "action",
            "category",
            "agent",
            "tool",
            "failure_mode",
            "bind_at",
        )
        return {name: getattr(self, name) for name in names}


@dataclass(frozen=True, slots=True)
class PolicyFile:
    """A file that was read."""

    name: str
    policies: tuple[FiledPolicy, ...]
    tests: tuple[Case, ...]

    @property
    def cases(self) -> Iterator[Case]:
        """The file's own cases, and those of its policies."""
        yield from self.tests
        for policy in self.policies:
            yield from policy.tests


def read(path: Path) -> tuple[PolicyFile, list[Problem]]:
    """A file, as far as it could be read, and what is wrong with it."""
    try:
        content = path.read_bytes()
    except OSError as error:
        return _nothing(path), [Problem(str(path), 1, "unreadable", error.strerror or str(error))]
    return parse(content, str(path))


def parse(content: bytes, name: str) -> tuple[PolicyFile, list[Problem]]:
    """The same for what a file holds."""
    if len(content) > SIZE_LIMIT:
        text = f"A policy file has at most {SIZE_LIMIT} bytes, not {len(content)}."
        return _nothing(name), [Problem(name, 1, "too-large", text)]
    try:
        root = _compose(content.decode())
    except UnicodeDecodeError as error:
        return _nothing(name), [Problem(name, 1, "not-utf-8", str(error))]
    except _Bad as bad:
        return _nothing(name), [Problem(name, bad.line, bad.code, str(bad))]
    except yaml.YAMLError as error:
        mark = getattr(error, "problem_mark", None)
        line = mark.line + 1 if mark else 1
        text = getattr(error, "problem", None) or " ".join(str(error).split())
        return _nothing(name), [Problem(name, line, "not-yaml", text)]
    reader = _Reader(name)
    return reader.file(root), sorted(reader.problems)


def _nothing(name: str | Path) -> PolicyFile:
    return PolicyFile(str(name), (), ())


class _Bad(Exception):
    def __init__(self, line: int, code: str, text: str) -> None:
        super().__init__(text)
        self.line, self.code = line, code


def _compose(text: str) -> yaml.Node:
    """The file's nodes, which know their lines; nothing is made of tags but plain values."""
    loader = yaml.SafeLoader(text)
    try:
        # Looked at as events first: composing recurses, and an alias can be larger than its file.
        depth = count = 0
        events = []
        while loader.check_event():
            event = loader.get_event()  # type: ignore[no-untyped-call]
            line = event.start_mark.line + 1
            if isinstance(event, yaml.AliasEvent):
                raise _Bad(line, "alias", "Aliases are not taken: write it out.")
            depth += isinstance(event, yaml.CollectionStartEvent)
            depth -= isinstance(event, yaml.CollectionEndEvent)
            count += isinstance(event, yaml.NodeEvent)
            if depth > DEPTH_LIMIT:
                raise _Bad(line, "too-deep", f"At most {DEPTH_LIMIT} levels are taken.")
            if count > NODES_LIMIT:
                raise _Bad(line, "too-large", f"At most {NODES_LIMIT} values are taken.")
            events.append(event)
    finally:
        loader.dispose()
    node = yaml.compose(text, Loader=yaml.SafeLoader)
    if node is None:
        raise _Bad(1, "empty", "The file is empty.")
    return node


class _Reader:
    """Walks the nodes of one file, and notes each problem where it is."""

    def __init__(self, name: str) -> None:
        self.name = name
        self.problems: list[Problem] = []

    def note(self, node: yaml.Node, code: str, text: str) -> None:
        self.problems.append(Problem(self.name, _line(node), code, text))

    def file(self, root: yaml.Node) -> PolicyFile:
        parts = self.mapping(root, "the file", {"antibody", "policies", "tests"}, {"antibody"})
        if "antibody" in parts and self.value(parts["antibody"]) != VERSION:
            self.note(
                parts["antibody"], "version", f"This version reads files of version {VERSION}."
            )
        policies = [self.policy(each) for each in self.items(parts, "policies")]
        tests = [self.case(each) for each in self.items(parts, "tests")]
        return PolicyFile(
            self.name,
            tuple(each for each in policies if each),
            tuple(each for each in tests if each),
        )

    def policy(self, node: yaml.Node) -> FiledPolicy | None:
        known = {
            "name",
            "condition",
            "action",
            "category",
            "agent",
            "tool",
            "failure_mode",
            "bind_at",
            "tests",
        }
        before = len(self.problems)
        parts = self.mapping(node, "a policy", known, {"name", "condition"})
        tests = [self.case(each) for each in self.items(parts, "tests")]
        said = {
            "name": self.text(parts, "name", NAME_LIMIT),
            "condition": self.text(parts, "condition"),
            "action": self.choice(parts, "action", ACTIONS, "block"),
            "category": self.choice(parts, "category", CATEGORIES, "custom"),
            "agent": self.text(parts, "agent", NAMES_LIMIT),
            "tool": self.text(parts, "tool", TOOL_LIMIT),
            "failure_mode": self.choice(parts, "failure_mode", FAILURE_MODES, "fail_closed"),
            "bind_at": self.choice(parts, "bind_at", MOMENTS, "each_step"),
        }
        if "condition" in parts and said["condition"]:
            try:
                compile_condition(said["condition"])
            except ConditionError as error:
                self.broken(parts["condition"], error.message)
        if len(self.problems) > before:
            return None
        return FiledPolicy(
            self.name, _line(node), **said, tests=tuple(each for each in tests if each)
        )

    def broken(self, node: yaml.Node, message: str) -> None:
        """A condition that does not compile: in a block of several lines, at the line of its fault."""
        told = _PLACE.match(message)
        is_block = isinstance(node, yaml.ScalarNode) and node.style == "|"
        line = _line(node) + (int(told[1]) if told and is_block else 0)
        text = " ".join(message.split("\n", maxsplit=1)[0].split())
        self.problems.append(Problem(self.name, line, "condition", text))

    def case(self, node: yaml.Node) -> Case | None:
        before = len(self.problems)
        parts = self.mapping(node, "a test", {"name", "call", "expect"}, {"call", "expect"})
        verdict = self.choice(parts, "expect", tuple(STRENGTH), "")
        name = self.text(parts, "name", NAME_LIMIT)
        known = {"tool", "arguments", "kind", "context", "agent", "run", "step", "history"}
        call = self.mapping(parts["call"], "a call", known, set()) if "call" in parts else {}
        arguments, context = self.json(call, "arguments"), self.json(call, "context")
        history = self.counters(call)
        step = self.value(call["step"]) if "step" in call else 0
        if step is not None and (not isinstance(step, int) or isinstance(step, bool) or step < 0):
            self.note(call["step"], "type", "step is a whole number from 0, or null.")
        kind = self.choice(call, "kind", KINDS, "tool_call")
        tool = self.text(call, "tool", TOOL_LIMIT)
        if kind == "tool_call" and not tool and "call" in parts:
            self.note(parts["call"], "missing", "A tool call names its tool.")
        agent = self.text(call, "agent", NAMES_LIMIT) or "agent"
        run = self.text(call, "run", NAMES_LIMIT) or "run"
        if len(self.problems) > before:
            return None
        return Case(
            _line(node), name, verdict, tool, arguments, kind, context, agent, run, step, history
        )

    def counters(self, call: Mapping[str, yaml.Node]) -> dict[str, int]:
        if "history" not in call:
            return {}
        parts = self.mapping(call["history"], "history", set(COUNTERS), set())
        counted = {name: self.value(node) for name, node in parts.items()}
        for name, count in counted.items():
            if not isinstance(count, int) or isinstance(count, bool) or count < 0:
                self.note(parts[name], "type", f"{name} is a whole number from 0.")
        return counted

    # --- Values ---------------------------------------------------------------------------------

    def mapping(
        self, node: yaml.Node, what: str, known: set[str], needed: set[str]
    ) -> dict[str, yaml.Node]:
        if not isinstance(node, yaml.MappingNode):
            self.note(node, "type", f"{what} is a mapping.")
            return {}
        parts: dict[str, yaml.Node] = {}
        for key, value in node.value:
            name = key.value if isinstance(key, yaml.ScalarNode) else ""
            if name not in known:
                named = ", ".join(sorted(known))
                self.note(key, "unknown", f"{name or 'this'} is nothing that {what} has: {named}.")
            elif name in parts:
                self.note(key, "twice", f"{name} is there twice.")
            else:
                parts[name] = value
        for name in sorted(needed - parts.keys()):
            self.note(node, "missing", f"{what} needs {name}.")
        return parts

    def items(self, parts: Mapping[str, yaml.Node], name: str) -> list[yaml.Node]:
        if name not in parts:
            return []
        node = parts[name]
        if not isinstance(node, yaml.SequenceNode):
            self.note(node, "type", f"{name} is a list.")
            return []
        return list(node.value)

    def text(self, parts: Mapping[str, yaml.Node], name: str, limit: int | None = None) -> str:
        if name not in parts:
            return ""
        value = self.value(parts[name])
        if not isinstance(value, str) or not value.strip():
            self.note(parts[name], "type", f"{name} is a text.")
            return ""
        if limit and len(value) > limit:
            self.note(parts[name], "too-long", f"{name} has at most {limit} characters.")
        return value

    def choice(
        self, parts: Mapping[str, yaml.Node], name: str, choices: tuple[str, ...], default: str
    ) -> str:
        if name not in parts:
            return default
        value = self.value(parts[name])
        if value not in choices:
            self.note(parts[name], "choice", f"{name} is one of {', '.join(choices)}.")
            return default
        return str(value)

    def json(self, parts: Mapping[str, yaml.Node], name: str) -> dict[str, Any]:
        """A mapping of what JSON has: a date or a key that is no text is none of it."""
        if name not in parts:
            return {}
        node = parts[name]
        before = len(self.problems)
        self._check_json(node)
        value = self.value(node) if len(self.problems) == before else {}
        if not isinstance(value, dict):
            self.note(node, "type", f"{name} is a mapping.")
            return {}
        return value

    def _check_json(self, node: yaml.Node) -> None:
        if isinstance(node, yaml.MappingNode):
            seen: set[str] = set()
            for key, value in node.value:
                if key.tag != "tag:yaml.org,2002:str":
                    self.note(key, "type", "A key is a text: put it in quotes.")
                elif key.value in seen:
                    self.note(key, "twice", f"{key.value} is there twice.")
                seen.add(str(key.value))
                self._check_json(value)
        elif isinstance(node, yaml.SequenceNode):
            for each in node.value:
                self._check_json(each)
        else:
            try:
                json.dumps(self.value(node), allow_nan=False)
            except (TypeError, ValueError):
                self.note(
                    node,
                    "type",
                    "This is no JSON value: put a date or a number like .nan in quotes.",
                )

    def value(self, node: yaml.Node) -> Any:
        """A node as a plain value; an odd tag is a problem, and None."""
        loader = yaml.SafeLoader("")
        try:
            return loader.construct_document(node)
        except (yaml.YAMLError, ValueError) as error:
            self.note(node, "type", getattr(error, "problem", None) or str(error))
            return None
        finally:
            loader.dispose()


def _line(node: yaml.Node) -> int:
    line: int = node.start_mark.line + 1
    return line
