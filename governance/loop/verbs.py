"""What people and pillars do with a loop: begin it, let it go on, try again, take it back."""

from __future__ import annotations

from django.db import transaction
from django.db.models import Max

from .. import ledger, redaction
from ..actors import Actor
from ..database.tenancy import outside_tenants, required_tenant, tenant_scope
from ..ids import new_id
from ..models import GlobalSwitch, LoopStep, LoopTrace, Stage, Switch, Tenant
from ..models.switches import WHOLE_LOOP
from ..refusals import Conflict, Invalid
from ..story import live
from ..story.events import tell
from . import queue
from .bridges import bridges
from .hints import hint


class CannotRetry(Conflict):
    """The stage is not one that stopped, failed or died."""


class CannotRevert(Conflict):
    """The loop was reverted already."""


def begin(
    incident_id: str,
    *,
    headline: str,
    actor: Actor,
    details: dict[str, object],
    simulated: bool = False,
) -> LoopTrace:
    """Open the story of an incident and make its first step ready, in the incident's own transaction."""
    earlier = (
        LoopTrace.objects.filter(incident_id=incident_id).aggregate(last=Max("generation"))["last"]
        or 0
    )
    return _begin(incident_id, earlier + 1, headline, actor, details, simulated)


def begin_first(
    incident_id: str,
    *,
    headline: str,
    actor: Actor,
    details: dict[str, object],
    simulated: bool = False,
) -> LoopTrace:
    """``begin`` for an incident that was just made and can have no earlier trace."""
    return _begin(incident_id, 1, headline, actor, details, simulated)


def _begin(
    incident_id: str,
    generation: int,
    headline: str,
    actor: Actor,
    details: dict[str, object],
    simulated: bool,  # noqa: FBT001 - the private half of two verbs that name it
) -> LoopTrace:
    trace = LoopTrace(
        id=new_id("trc"),
        tenant_id=required_tenant(),
        incident_id=incident_id,
        generation=generation,
        headline=redaction.text(headline)[:300],
        simulated=simulated,
    )
    step_id, stage = new_id("stp"), next(iter(bridges()))
    queue.begin(
        {
            "id": trace.id,
            "tenant": trace.tenant_id,
            "incident": incident_id,
            "generation": generation,
            "headline": trace.headline,
            "simulated": simulated,
        },
        step_id=step_id,
        stage=stage,
        event={
            "id": new_id("evt"),
            "type": Stage.INCIDENT_CREATED.value,
            "stage": Stage.INCIDENT_CREATED.value,
            "headline": trace.headline,
            "subject": incident_id,
            "actor": str(actor),
            "details": redaction.texts(details),
        },
    )
    live.publish_after_commit(trace.tenant_id, [trace.id])
    hint(stage, step_id)
    trace._state.adding = False  # noqa: SLF001 - it is in the database, though the ORM did not put it there
    return trace


def resume(waits_for: str) -> int:
    """Let every loop go on that waits for this id; how many there were. Call it in the changing transaction."""
    return queue.resume(waits_for)


def retry(trace: LoopTrace, stage: str, *, actor: Actor, reason: str = "") -> LoopStep:
    """Run a failed, dead or stopped stage again. Raises CannotRetry for any other."""
    step = trace.steps.filter(
        stage=stage, state__in=[LoopStep.State.FAILED, LoopStep.State.DEAD]
    ).first()
    if step is None or trace.state == LoopTrace.State.REVERTED or not queue.resume_step(step.id):
        raise CannotRetry(f"{stage} of this loop did not fail: there is nothing to try again.")
    tell(
        trace.id,
        "retried",
        f"{stage} is tried again",
        actor=actor,
        stage=stage,
        details={"reason": reason},
    )
    ledger.append("loop.retried", trace.id, actor=actor, reason=reason, stage=stage)
    hint(step.stage, step.id)
    return step


def revert(trace: LoopTrace, *, actor: Actor, reason: str) -> None:
    """Withdraw what only this loop caused, last bridge first. Raises CannotRevert for a reverted one."""
    # Whoever runs it holds a step before the trace: in that order we wait for them, and they for us.
    list(trace.steps.select_for_update(no_key=True).order_by("id").values_list("id"))
    changed = (
        LoopTrace.objects.filter(pk=trace.pk)
        .exclude(state=LoopTrace.State.REVERTED)
        .update(state=LoopTrace.State.REVERTED, failure_state="")
    )
    if not changed:
        raise CannotRevert("This loop was reverted already.")
    trace.steps.exclude(state=LoopStep.State.DONE).update(
        state=LoopStep.State.FAILED,
        claim_token="",
        lease_until=None,
        waits_for="",
        error="reverted",
    )
    for bridge in reversed(list(bridges().values())):
        if bridge.undo:
            bridge.undo(trace.incident_id, trace.id, actor, reason)
    tell(trace.id, "reverted", f"Taken back: {reason}", actor=actor, details={"reason": reason})
    ledger.append("loop.reverted", trace.id, actor=actor, reason=reason)
    trace.state = LoopTrace.State.REVERTED


def set_switch_everywhere(name: str, *, on: bool, actor: Actor, reason: str) -> GlobalSwitch:
    """The same for every tenant, by who runs the server; each tenant's ledger tells of it.

    Raises Invalid for a name that is no switch.
    """
    _check_switch(name)
    with transaction.atomic(), outside_tenants():
        switch, _ = GlobalSwitch.objects.update_or_create(
            name=name, defaults={"on": on, "reason": reason}
        )
        for tenant_id in list(Tenant.objects.values_list("id", flat=True)):
            with tenant_scope(tenant_id):
                ledger.append(
                    f"switch.everywhere.{'on' if on else 'off'}", name, actor=actor, reason=reason
                )
                if on:
                    _let_go_on(name)
    return switch


def set_switch(name: str, *, on: bool, actor: Actor, reason: str) -> Switch:
    """Turn the tenant's switch of the whole loop or of one stage; on lets the waiting steps go on.

    Raises Invalid for a name that is neither.
    """
    _check_switch(name)
    switch, _ = Switch.objects.update_or_create(name=name, defaults={"on": on, "reason": reason})
    ledger.append(f"switch.{'on' if on else 'off'}", name, actor=actor, reason=reason)
    if on:
        _let_go_on(name)
    return switch


def _check_switch(name: str) -> None:
    if name != WHOLE_LOOP and name not in bridges():
        raise Invalid(
            f"There is no switch {name!r}; there are {', '.join([WHOLE_LOOP, *bridges()])}.",
            field="name",
        )


def _let_go_on(name: str) -> None:
    """Wake what waits for a switch; a step that finds another one off waits again."""
    for stage in bridges() if name == WHOLE_LOOP else [name]:
        queue.resume(f"switch:{stage}")
