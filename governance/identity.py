"""Agents and runs, known from first sight."""

from __future__ import annotations

from django.db.models import QuerySet
from django.db.models.functions import Now

from . import ledger, tenants
from .actors import Actor
from .database.compiled import compiled
from .database.inserts import insert
from .models import Agent, Run
from .refusals import Forbidden


class UnknownAgent(Forbidden):
    """A strict tenant's agent that nobody registered."""


def register_agent(name: str, *, actor: Actor) -> Agent:
    """The agent of this name, made when it is new."""
    if known := _agents(name):
        return known[0]
    insert([Agent(name=name)], ignore_conflicts=True)
    [agent] = _agents(name)
    ledger.append("agent.registered", agent.id, actor=actor, name=name)
    return agent


def see_agent(name: str, *, actor: Actor) -> Agent:
    """The agent that a caller names. Raises UnknownAgent where the tenant is strict and nobody registered it."""
    if known := _agents(name):
        return known[0]
    if tenants.settings().strict_agents:
        raise UnknownAgent(f"No agent is registered as {name!r}, and this tenant is strict.")
    return register_agent(name, actor=actor)


def begin_run(
    agent: Agent, name: str, *, policy_set: str = "", simulated: bool = False, refused: bool = False
) -> Run:
    """The run that a caller names, begun at first sight with the policy set in force then.

    ``refused`` keeps one that asked while no run may begin: known from then on, but not begun.
    """
    if known := _runs(agent.id, name):
        return known[0]
    wanted = Run(
        agent=agent, name=name, policy_set=policy_set, simulated=simulated, refused=refused
    )
    insert([wanted], ignore_conflicts=True)
    [run] = _runs(agent.id, name)
    return run


def known_run(agent: str, name: str) -> Run | None:
    """The run of this name that the agent of this name has begun; None where nobody has heard of it.

    For who only tells of a run: to begin one is to bind it to the policies of that moment.
    """
    return next(iter(_runs_by_name(agent, name)), None)


def begin_after_all(run: Run, *, policy_set: str) -> None:
    """Let a run begin that was refused before."""
    Run.objects.filter(pk=run.pk).update(refused=False, policy_set=policy_set, started_at=Now())
    run.refused, run.policy_set = False, policy_set


@compiled
def _agents(name: str) -> QuerySet[Agent]:
    """None or one: a name is unique."""
    return Agent.objects.filter(name=name).order_by()


@compiled
def _runs_by_name(agent: str, name: str) -> QuerySet[Run]:
    """None or one: names are unique."""
    return Run.objects.filter(agent__name=agent, name=name).order_by()


@compiled
def _runs(agent_id: str, name: str) -> QuerySet[Run]:
    """None or one: a name is unique."""
    return Run.objects.filter(agent=agent_id, name=name).order_by()
