"""Agents and runs, known from first sight."""

from __future__ import annotations

from . import ledger, tenants
from .actors import Actor
from .models import Agent, Run
from .refusals import Forbidden


class UnknownAgent(Forbidden):
    """A strict tenant's agent that nobody registered."""


def register_agent(name: str, *, actor: Actor) -> Agent:
    """The agent of this name, made when it is new."""
    agent = Agent.objects.filter(name=name).first()
    if agent is None:
        Agent.objects.bulk_create([Agent(name=name)], ignore_conflicts=True)
        agent = Agent.objects.get(name=name)
        ledger.append("agent.registered", agent.id, actor=actor, name=name)
    return agent


def see_agent(name: str, *, actor: Actor) -> Agent:
    """The agent that a caller names. Raises UnknownAgent where the tenant is strict and nobody registered it."""
    agent = Agent.objects.filter(name=name).first()
    if agent is not None:
        return agent
    if tenants.settings().strict_agents:
        raise UnknownAgent(f"No agent is registered as {name!r}, and this tenant is strict.")
    return register_agent(name, actor=actor)


def begin_run(agent: Agent, name: str, *, policy_set: str = "", simulated: bool = False) -> Run:
    """The run that a caller names, begun at first sight with the policy set in force then."""
    run = Run.objects.filter(agent=agent, name=name).first()
    if run is None:
        Run.objects.bulk_create(
            [Run(agent=agent, name=name, policy_set=policy_set, simulated=simulated)],
            ignore_conflicts=True,
        )
        run = Run.objects.get(agent=agent, name=name)
    return run
