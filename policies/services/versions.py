"""The wordings that a policy had, and how they differ."""

from __future__ import annotations

from typing import Any

from governance.models import Checkpoint
from governance.refusals import Invalid
from policies import rules
from policies.models import Policy, PolicyVersion

FIRST = 1


def compare(policy: Policy, before: int, after: int) -> dict[str, Any]:
    """How one version of a policy differs from another. Raises Invalid, naming the field, for a version it never had."""
    found = {
        version.number: version
        for version in PolicyVersion.objects.filter(policy=policy, number__in=[before, after])
    }
    for field, number in (("from", before), ("to", after)):
        if number not in found:
            raise Invalid(f"This policy has no version {number}.", field=field)
    old, new = found[before], found[after]
    lines = rules.difference(old.condition, new.condition)
    return {
        "from": before,
        "to": after,
        "is_same": old.condition == new.condition,
        "lines": [{"op": line.op, "text": line.text} for line in lines],
        "text": "\n".join(str(line) for line in lines),
        "reason": new.reason,
        "backtest": {"from": old.backtest, "to": new.backtest},
    }


def last_approved(policy: Policy) -> int | None:
    """The newest earlier version that a person put in force; None where none was."""
    approved = Checkpoint.objects.filter(
        type=Checkpoint.Type.APPROVE_POLICY, subject=policy.id, state=Checkpoint.State.APPROVED
    )
    numbers = [checkpoint.shown.get("version", 0) for checkpoint in approved]
    return max((number for number in numbers if number < policy.version), default=None)


def since_approval(policy: Policy) -> dict[str, Any]:
    """What changed since a person last approved it, else since the version before; empty for a first version."""
    if policy.version == FIRST:
        return {}
    former = last_approved(policy) or policy.version - 1
    changed = compare(policy, former, policy.version)
    return {
        "since_version": former,
        "changed": "nothing but its number" if changed["is_same"] else changed["text"],
        "because": changed["reason"],
    }
