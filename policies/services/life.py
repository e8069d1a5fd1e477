"""The life of a policy: draft, shadow, pending, active, suspended, retired. One verb for each move.

Rows are locked in one order, so that no two verbs wait for each other: the checkpoint, policies by id, the
policy set, the waiting steps.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from django.db import transaction
from django.db.models import QuerySet

from governance import checkpoints, ledger, tenants
from governance.actors import LOOP, Actor
from governance.database.compiled import compiled
from governance.database.inserts import insert
from governance.loop.verbs import resume
from governance.models import Checkpoint, FailureState, Settings
from governance.refusals import Conflict, Forbidden, Invalid
from governance.states import move
from governance.story.events import tell
from policies import rules
from policies.conditions import ConditionError, compile_condition
from policies.models import Evidence, Policy, PolicyVersion
from recovery.rules import APPROVED_AT_LEAST

from . import asking, calls, confirmations, confirmations_of, graduation, witnesses_of
from .asking import ASKED
from .policy_set import bump

BY_HAND = "Written by hand."
REJECTED = f"{FailureState.POLICY_REJECTED}: "


@dataclass(frozen=True, slots=True)
class Wording:
    """What one version of a policy says, why, and how it did on stored calls."""

    condition: str
    explanation: str
    backtest: dict[str, Any]


class OnesOwn(Forbidden):
    """A person may not decide about what they asked for."""


def draft_manual(  # noqa: PLR0913 - what a person says about a policy, each word by its name
    name: str,
    *,
    condition: str,
    action: str,
    category: str,
    scope_type: str,
    scope_id: str = "",
    tool: str = "",
    failure_mode: str = Policy.FailureMode.FAIL_CLOSED,
    bind_at: str = Policy.BindAt.EACH_STEP,
    actor: Actor,
) -> Policy:
    """A person's own policy, as a draft that the guard does not see yet.

    It is tried on the stored good calls at once. Raises Invalid, naming the field, for a condition that does
    not compile and for an agent's scope without the agent.
    """
    try:
        compiled = compile_condition(condition)
    except ConditionError as error:
        raise Invalid(error.message, field=error.field) from error
    if scope_type == Policy.Scope.AGENT and not scope_id:
        raise Invalid("Say which agent it is about.", field="scope_id")
    wording = Wording(condition, "", calls.as_json(calls.backtest(compiled, tool)))
    return _draft(
        Policy(
            name=name,
            action=action,
            category=category,
            scope_type=scope_type,
            scope_id=scope_id,
            tool=tool,
            failure_mode=failure_mode,
            bind_at=bind_at,
            source=Policy.Source.MANUAL,
            # Worth what a person's word is worth elsewhere, until calls have shown better.
            confidence=APPROVED_AT_LEAST,
        ),
        wording,
        actor=actor,
        origin=None,
        reason=BY_HAND,
    )


def draft_learned(policy: Policy, wording: Wording, *, incident_id: str, reason: str) -> Policy:
    """Keep a policy that the loop drafted for an incident; it watches from now on."""
    _draft(policy, wording, actor=LOOP, origin=incident_id, reason=reason)
    submit(policy, actor=LOOP, reason=reason)
    _tell(policy, "policy_born", f"Drafted: {policy.name}", LOOP, {"reason": wording.explanation})
    return policy


def submit(policy: Policy, *, actor: Actor, reason: str = "Submitted.") -> None:
    """Let a draft watch: every decision records what it would have said. Raises IllegalMove or Stale."""
    if policy.state != Policy.State.DRAFT:
        raise Conflict(f"Only a draft can be submitted; this policy is {policy.state}.")
    _change(policy, Policy.State.SHADOW, actor, reason)
    bump([policy])


@transaction.atomic
def confirm(policy: Policy, *, actor: Actor, note: str = "") -> None:
    """Add a reviewer's one confirmation to the present version; asks for activation when that completes it.

    Raises Forbidden for who is not a person or drafted it, Conflict outside shadow and for a second reviewer.
    """
    _check_person(policy, actor)
    lock(policy)
    if policy.state != Policy.State.SHADOW:
        raise Conflict(f"Only a policy in shadow can be confirmed; this one is {policy.state}.")
    vouched = Evidence.objects.filter(
        policy=policy, version=policy.version, kind=Evidence.Kind.REVIEWER
    )
    if vouched.exists():
        raise Conflict(
            "A reviewer has confirmed this version already; the rest is up to incidents."
        )
    Evidence.objects.create(
        policy=policy,
        version=policy.version,
        kind=Evidence.Kind.REVIEWER,
        actor=str(actor),
        note=note,
    )
    ledger.append("policy.confirmed", policy.id, actor=actor, reason=note, version=policy.version)
    _tell(policy, "policy_confirmed", f"{actor.name or actor} confirms: {policy.name}", actor)
    request_when_confirmed([policy], confirmations_of([policy]), tenants.settings())


def request_when_confirmed(
    locked: Iterable[Policy], counts: Mapping[str, int], settings: Settings
) -> None:
    """Ask for the activation of those in shadow that have enough confirmations; ``counts`` has how many each has."""
    for policy in locked:
        if policy.state == Policy.State.SHADOW:
            count = counts[policy.id]
            if rules.is_confirmed(count, settings.confirmations) and _may_ask(policy, settings):
                request_activation(policy, actor=LOOP, count=count, settings=settings)


def _may_ask(policy: Policy, settings: Settings) -> bool:
    """Whether a person will decide; where nobody does, one agent's word is not enough."""
    return settings.waits_for(ASKED) or rules.is_witnessed(
        len(witnesses_of(policy)), settings.confirmations
    )


def request_activation(policy: Policy, *, actor: Actor, count: int, settings: Settings) -> None:
    """From shadow to pending, and ask a person; the policy is active at once only where nobody must be asked.

    ``count`` are its confirmations.
    """
    _change(policy, Policy.State.PENDING, actor, f"It has {count} confirmations.")
    _tell(policy, "policy_pending", f"Waits for a decision: {policy.name}", actor)
    permission = rules.may_activate(
        state=policy.state,
        is_approved=False,
        tenant_allows_automatic=(allowed := settings.automatic_activation),
        is_unlocked=allowed and graduation.is_graduated(),
        confidence=policy.confidence,
        witnesses=len(witnesses_of(policy)) if allowed else 0,
    )
    if permission.is_given:
        _enforce(policy, LOOP, permission.reason)
        return
    if settings.asks(ASKED):
        by = requester(policy)
        asking.ask(policy, confirmations=count, requested_by=by, settings=settings)
    if not settings.waits_for(ASKED):
        _enforce(policy, LOOP, f"This tenant does not wait for {ASKED}.")


@transaction.atomic
def activate(policy: Policy, *, actor: Actor, reason: str = "") -> None:
    """A person puts a policy in force: a pending one by its checkpoint, a suspended one again.

    A person's own draft needs no incidents, only a second person. Raises Forbidden for who drafted it, and
    Conflict for one that is not confirmed.
    """
    _check_person(policy, actor)
    match policy.state:
        case Policy.State.SUSPENDED:
            _enforce(policy, actor, reason)
        case Policy.State.PENDING:
            _approve(policy, actor, reason)
        case Policy.State.SHADOW if policy.source == Policy.Source.MANUAL:
            request_activation(
                policy,
                actor=requester(policy),
                count=confirmations(policy),
                settings=tenants.settings(),
            )
            if policy.state == Policy.State.PENDING:
                _approve(policy, actor, reason)
        case Policy.State.SHADOW:
            have, need = confirmations(policy), tenants.settings().confirmations
            raise Conflict(f"This policy has {have} of {need} confirmations.")
        case _:
            raise Conflict(f"A policy in {policy.state} cannot be activated.")


@transaction.atomic
def suspend(policy: Policy, *, actor: Actor, reason: str) -> None:
    """Take an active policy out of force, to be activated again. Raises Invalid, IllegalMove or Stale."""
    _check_reason(reason)
    checkpoints.withdraw(policy.id, actor=actor, reason=reason)
    _change(policy, Policy.State.SUSPENDED, actor, reason)
    bump([policy])
    resume(policy.id)
    _tell(policy, "policy_suspended", f"Suspended: {policy.name}", actor)


@transaction.atomic
def retire(policy: Policy, *, actor: Actor, reason: str) -> None:
    """End a policy for good, wherever it is in its life. Raises Invalid, IllegalMove or Stale."""
    _check_reason(reason)
    checkpoints.withdraw(policy.id, actor=actor, reason=reason)
    _change(policy, Policy.State.RETIRED, actor, reason)
    bump([policy])
    resume(policy.id)
    _tell(policy, "policy_retired", f"Retired: {policy.name}", actor)


def reject(policy: Policy, *, actor: Actor, reason: str) -> None:
    """Retire a policy as policy_rejected: loops that wait for it end in that state."""
    retire(policy, actor=actor, reason=f"{REJECTED}{reason}")


def rejection(pattern_id: str, condition: str) -> str | None:
    """Why a policy of this pattern with these very words was rejected; None when none was."""
    for reason in _rejections(pattern_id, condition):
        return reason.removeprefix(REJECTED)
    return None


@compiled
def _rejections(pattern: str, condition: str) -> QuerySet[Policy, str]:
    """None, or the latest."""
    rejected = Policy.objects.filter(
        pattern_id=pattern,
        condition=condition,
        state=Policy.State.RETIRED,
        reason__startswith=REJECTED,
    )
    return rejected.order_by("-id").values_list("reason", flat=True)[:1]


@transaction.atomic
def demote(policy: Policy, *, actor: Actor, reason: str) -> None:
    """From active back to shadow, as a new version, so that confirmations count anew. Holds from the next decision."""
    checkpoints.withdraw(policy.id, actor=actor, reason=reason)
    _change(policy, Policy.State.SHADOW, actor, reason)
    reword(policy, wording_of(policy), actor=actor, reason=reason)
    resume(policy.id)


@transaction.atomic
def return_to_shadow(policy: Policy, *, actor: Actor, reason: str) -> None:
    """From pending back to shadow, its question void; confirmations stay as they are."""
    checkpoints.withdraw(policy.id, actor=actor, reason=reason, type=ASKED)
    _change(policy, Policy.State.SHADOW, actor, reason)


def withdraw_question(policy: Policy, *, actor: Actor, reason: str) -> None:
    """Make a pending policy's question void, before the policy is locked to be changed."""
    if policy.state == Policy.State.PENDING:
        checkpoints.withdraw(policy.id, actor=actor, reason=reason, type=ASKED)


@transaction.atomic
def reword(policy: Policy, wording: Wording, *, actor: Actor, reason: str) -> None:
    """A new version of a policy in shadow; its confirmations and its would-blocks are counted anew."""
    policy.version += 1
    policy.condition, policy.explanation, policy.backtest = (
        wording.condition,
        wording.explanation,
        wording.backtest,
    )
    if policy.recovery is not None:
        policy.confidence = policy.recovery.confidence
    policy.save(update_fields=["version", "condition", "explanation", "backtest", "confidence"])
    insert([_version(policy, reason)])
    ledger.append(
        "policy.reworded",
        policy.id,
        actor=actor,
        reason=reason,
        version=policy.version,
        condition=_digest(policy),
    )
    bump([policy])


def wording_of(policy: Policy) -> Wording:
    """What the policy says now."""
    return Wording(policy.condition, policy.explanation, policy.backtest)


def decided(checkpoint: Checkpoint, actor: Actor) -> Policy:
    """What the decision of an approve_policy checkpoint does, in the deciding transaction; the policy as it then is."""
    [policy] = _held(checkpoint.subject)
    if checkpoint.shown["version"] != policy.version:
        return policy
    match checkpoint.state, policy.state:
        case Checkpoint.State.APPROVED, Policy.State.PENDING:
            _enforce(policy, actor, checkpoint.reason)
        case Checkpoint.State.REJECTED, Policy.State.PENDING | Policy.State.ACTIVE:
            # Active already where the question was only advisory.
            reject(policy, actor=actor, reason=checkpoint.reason)
        case Checkpoint.State.EXPIRED, Policy.State.PENDING:
            # Nobody said that the policy is wrong, so it lives on; with its confirmations counted anew the
            # question comes back when the failure does, and not with the very next incident.
            _change(policy, Policy.State.SHADOW, actor, checkpoint.reason)
            reword(policy, wording_of(policy), actor=actor, reason=checkpoint.reason)
            resume(policy.id)
    return policy


@compiled
def _held(id: str) -> QuerySet[Policy]:
    return Policy.objects.filter(id=id).order_by().select_for_update(of=("self",), no_key=True)


def lock(*policies: Policy) -> None:
    """Hold policies until the transaction ends, and read them again; what only points at them is not held up."""
    held = Policy.objects.select_for_update(of=("self",), no_key=True)
    for policy in sorted(policies, key=lambda one: one.id):
        policy.refresh_from_db(from_queryset=held)


def requester(policy: Policy) -> Actor:
    """Who asks for its activation: the person who drafted it, or the loop."""
    author = author_of(policy)
    kind, _, identity = author.partition(":")
    return Actor(kind, identity) if author else LOOP  # type: ignore[arg-type]


def author_of(policy: Policy) -> str:
    """The person who drafted it, as records keep him; empty for what the loop drafted."""
    if policy.source != Policy.Source.MANUAL:
        return ""
    origin = policy.evidence.filter(kind=Evidence.Kind.ORIGIN, incident=None)
    return origin.values_list("actor", flat=True).last() or ""


def _draft(
    policy: Policy, wording: Wording, *, actor: Actor, origin: str | None, reason: str
) -> Policy:
    policy.condition = wording.condition
    policy.explanation = wording.explanation
    policy.backtest = wording.backtest
    policy.save(force_insert=True)
    founded_on = Evidence(
        policy=policy,
        version=policy.version,
        kind=Evidence.Kind.ORIGIN,
        incident_id=origin,
        actor=str(actor),
        note=reason,
    )
    insert([_version(policy, reason), founded_on])
    ledger.append(
        "policy.draft",
        policy.id,
        actor=actor,
        reason=reason,
        source=policy.source,
        incident=origin or "",
        condition=_digest(policy),
    )
    return policy


def _version(policy: Policy, reason: str) -> PolicyVersion:
    return PolicyVersion(
        policy=policy,
        number=policy.version,
        condition=policy.condition,
        explanation=policy.explanation,
        backtest=policy.backtest,
        reason=reason[:300],
    )


def _change(policy: Policy, state: str, actor: Actor, reason: str) -> None:
    move(policy, state, actor=actor, reason=reason, keeps_reason=True)


def _enforce(policy: Policy, actor: Actor, reason: str) -> None:
    _change(policy, Policy.State.ACTIVE, actor, reason)
    bump([policy])
    resume(policy.id)
    _tell(policy, "policy_active", f"In force: {policy.name}", actor)


def _approve(policy: Policy, actor: Actor, reason: str) -> None:
    """Decide the policy's pending question, asking it first where it is no longer there."""
    pending = Checkpoint.objects.filter(
        subject=policy.id, type=ASKED, state=Checkpoint.State.PENDING
    )
    checkpoint = pending.first() or asking.ask(
        policy, confirmations=confirmations(policy), requested_by=requester(policy)
    )
    checkpoints.decide(
        checkpoint, approve=True, actor=actor, digest=checkpoint.digest, reason=reason
    )
    policy.refresh_from_db()


def _tell(
    policy: Policy,
    type: str,
    headline: str,
    actor: Actor,
    details: dict[str, Any] | None = None,
) -> None:
    if policy.trace_id:
        tell(
            policy.trace_id,
            type,
            headline,
            actor=actor,
            subject=policy.id,
            details={
                "policy_id": policy.id,
                "state": policy.state,
                "version": policy.version,
                "confidence": policy.confidence,
                "reason": policy.reason,
                **(details or {}),
            },
            simulated=policy.simulated,
        )


def _check_person(policy: Policy, actor: Actor) -> None:
    if not actor.is_person:
        raise Forbidden("Only a person can do this.")
    if str(actor) == author_of(policy):
        raise OnesOwn("Nobody decides about what they drafted themselves.")


def _check_reason(reason: str) -> None:
    if not reason.strip():
        raise Invalid("Say why.", field="reason")


def _digest(policy: Policy) -> str:
    """The condition's hash: the condition itself may quote an agent's arguments, which stay out of the ledger."""
    return ledger.digest({"condition": policy.condition})
