"""agent_stop: every action gets kill, for one agent or for all of the tenant's, from the next decision on."""

from __future__ import annotations

from django.db import transaction
from django.db.models.functions import Now

from .. import ledger
from ..actors import Actor
from ..database.tenancy import required_tenant
from ..models import Agent, Settings
from ..refusals import Refusal
from ..story import live
from .reasons import given


class NoSuchAgent(Refusal):
    """No agent of the tenant has this name, whether another tenant's has or not."""

    status = 404
    code = "not_found"


def named(name: str | None) -> Agent | None:
    """The agent to stop, None for all of them. Raises NoSuchAgent.

    An agent that nobody has seen is not registered as stopped: after a slip of the pen somebody would believe that
    an agent was stopped which goes on.
    """
    if name is None:
        return None
    found = Agent.objects.filter(name=name.replace("\x00", "")).first()
    if found is None:
        raise NoSuchAgent(f"No agent is known as {name!r}.", field="agent_id")
    return found


def stop(agent: Agent | None, *, actor: Actor, reason: str) -> bool:
    """Stop an agent, or with None all of the tenant's, known or not yet; whether that was news.

    Who was stopped already stays so, with the reason that was given first. Raises Invalid without a reason.
    """
    return _turn(agent, on=True, actor=actor, reason=reason)


def let_go_on(agent: Agent | None, *, actor: Actor, reason: str) -> bool:
    """Take back the stop of an agent, or with None that of the whole tenant; whether that was news.

    The two do not touch each other: an agent that was stopped by itself stays so when the tenant goes on.
    """
    return _turn(agent, on=False, actor=actor, reason=reason)


def _turn(agent: Agent | None, *, on: bool, actor: Actor, reason: str) -> bool:
    why = given(reason)
    changes = {
        "stopped": on,
        "stopped_reason": why if on else "",
        "stopped_by": str(actor) if on else "",
        "stopped_at": Now() if on else None,
    }
    with transaction.atomic():
        held = Agent.objects.filter(pk=agent.pk) if agent else Settings.objects.all()
        # Whoever was first changed it; what is so already is not told again.
        if not held.filter(stopped=not on).update(**changes):
            return False
        tenant_id = required_tenant()
        ledger.append(
            f"agent_stop.{'on' if on else 'off'}",
            agent.pk if agent else tenant_id,
            actor=actor,
            reason=why,
            agent=agent.name if agent else None,
        )
        live.publish_after_commit(tenant_id, [])
    return True
