"""Policies as a file that `reading` takes back unchanged."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

import yaml

from policies.as_code.reading import VERSION, Case, FiledPolicy

HEAD = "# Policies as code: docs/policies-as-code.md of Antibody says what may stand here.\n"
WIDTH = 100


class _Dumper(yaml.SafeDumper):
    """Blocks for texts of several lines, so that a change of one line is one line of a diff."""

    def ignore_aliases(self, data: Any) -> bool:
        return True


def _text(dumper: yaml.SafeDumper, value: str) -> yaml.ScalarNode:
    style = "|" if "\n" in value and value.strip() == value else None
    return dumper.represent_scalar("tag:yaml.org,2002:str", value, style=style)


_Dumper.add_representer(str, _text)


def written(policies: Iterable[FiledPolicy]) -> str:
    """A file with these policies and their tests, what has its default value left out."""
    said = {"antibody": VERSION, "policies": [_policy(policy) for policy in policies]}
    return HEAD + yaml.dump(said, Dumper=_Dumper, sort_keys=False, allow_unicode=True, width=WIDTH)


def _policy(policy: FiledPolicy) -> dict[str, Any]:
    plain = FiledPolicy("", 0, "", "").content
    said: dict[str, Any] = {
        name: value
        for name, value in policy.content.items()
        if value != plain[name] or name in ("name", "condition", "action")
    }
    if policy.tests:
        said["tests"] = [_case(case) for case in policy.tests]
    return said


def _case(case: Case) -> dict[str, Any]:
    plain = Case(0, "", "", "", {})
    names = ("kind", "tool", "arguments", "context", "agent", "run", "step", "history")
    call: Mapping[str, Any] = {
        name: getattr(case, name) for name in names if getattr(case, name) != getattr(plain, name)
    }
    named = {"name": case.name} if case.name else {}
    return {**named, "call": dict(call), "expect": case.expect}
