"""Policies between a tenant and files: exported with tests made from what happened, imported as drafts."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from typing import Any

from django.db import transaction

from governance import ledger
from governance.actors import Actor
from governance.database.tenancy import required_tenant
from governance.models import Settings
from governance.redaction import masked
from governance.refusals import Invalid
from policies.as_code.reading import Case, FiledPolicy
from policies.models import Decision, Evidence, Policy

from . import calls, life

TESTS_EXPORTED = 3
"""Failures behind a policy that are written beside it as tests."""


def exported(policies: Iterable[Policy]) -> list[FiledPolicy]:
    """Policies as a file has them, each with tests: calls that it was made from, as the guard would answer now.

    A call that holds a secret, or that its policy does not stop by itself (any more), is no test.
    """
    return [_filed(policy) for policy in policies]


def of_state(*states: str) -> list[Policy]:
    """The tenant's real policies in these states, oldest first."""
    return list(Policy.objects.filter(state__in=states, simulated=False).order_by("id"))


@dataclass(frozen=True, slots=True)
class Imported:
    """What came of a file: drafts made, and policies that were there already."""

    made: tuple[Policy, ...]
    known: tuple[Policy, ...]


@transaction.atomic
def import_all(policies: Sequence[FiledPolicy], *, digest: str, actor: Actor) -> Imported:
    """Draft what the tenant does not have yet; all of it or nothing, and nothing is in force by it.

    A policy with the same content that is not retired, wherever it is in its life, is the same policy. ``digest`` names
    the file in the ledger. Raises what drafting by hand raises.
    """
    # One import after the other: two of one file must not both find nothing.
    Settings.objects.select_for_update().get()
    have: dict[tuple[str, ...], Policy] = {}
    for policy in Policy.objects.exclude(state=Policy.State.RETIRED).order_by("id"):
        have.setdefault(_key(content_of(policy)), policy)
    made: list[Policy] = []
    known: list[Policy] = []
    for filed in policies:
        key = _key(filed.content)
        if key in have:
            known.append(have[key])
            continue
        have[key] = _drafted(filed, actor)
        made.append(have[key])
    if made:
        ledger.append(
            "policy.imported",
            required_tenant(),
            actor=actor,
            file=digest,
            policies=[policy.id for policy in made],
        )
    return Imported(tuple(made), tuple(known))


def as_filed(policy: Policy) -> FiledPolicy:
    """A policy as a file would have it, without tests."""
    return FiledPolicy(policy.id, 0, **content_of(policy))  # type: ignore[arg-type]  # tests are none of it


def content_of(policy: Policy) -> dict[str, str]:
    """What a policy says, as `FiledPolicy.content` has it."""
    return {
        "name": policy.name,
        "condition": policy.condition,
        "action": policy.action,
        "category": policy.category,
        "agent": policy.scope_id if policy.scope_type == Policy.Scope.AGENT else "",
        "tool": policy.tool,
        "failure_mode": policy.failure_mode,
        "bind_at": policy.bind_at,
    }


def _key(content: dict[str, str]) -> tuple[str, ...]:
    return tuple(content[name] for name in sorted(content))


def _drafted(filed: FiledPolicy, actor: Actor) -> Policy:
    try:
        return life.draft_manual(
            filed.name,
            condition=filed.condition,
            action=filed.action,
            category=filed.category,
            scope_type=Policy.Scope.AGENT if filed.agent else Policy.Scope.TENANT,
            scope_id=filed.agent,
            tool=filed.tool,
            failure_mode=filed.failure_mode,
            bind_at=filed.bind_at,
            actor=actor,
        )
    except Invalid as error:
        raise Invalid(f"{filed.file}:{filed.line}: {error}", **error.extra) from error


def _filed(policy: Policy) -> FiledPolicy:
    return replace(as_filed(policy), tests=tuple(_tests(policy)))


def _tests(policy: Policy) -> list[Case]:
    behind = Evidence.objects.filter(policy=policy, incident__isnull=False, withdraws=False)
    ids = list(behind.order_by("-id").values_list("incident_id", flat=True)[: 4 * TESTS_EXPORTED])
    found: list[tuple[str, Case]] = []
    for incident_id, seen in calls.see(dict.fromkeys(ids)).items():
        if calls.would_block(policy, seen) and seen.decision is not None:
            case = _case(seen.decision, policy.action, f"as in {incident_id}")
            if case.arguments == masked(case.arguments) and case.context == masked(case.context):
                found.append((incident_id, case))
    return [case for _, case in sorted(found, key=lambda pair: pair[0])[:TESTS_EXPORTED]]


def _case(decision: Decision, verdict: str, name: str) -> Case:
    counted: dict[str, Any] = {}
    before = calls.call_of(decision).history
    if before is not None:
        counted = {name: count for name, count in _counters(before).items() if count}
    return Case(
        0,
        name,
        verdict,
        decision.tool,
        decision.arguments,
        decision.kind,
        decision.context,
        decision.agent.name,
        decision.run.name,
        decision.step,
        counted,
    )


def _counters(history: Any) -> dict[str, int]:
    return {name: getattr(history, name) for name in history.__dataclass_fields__}
