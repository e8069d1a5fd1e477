"""What holds for the tenant in scope at this moment, in one statement: every decision asks."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from django.db.models import QuerySet, Subquery
from django.db.models.functions import JSONObject

from ..database.compiled import Question, compiled
from ..models import Bypass, ServerMode, Settings


@dataclass(frozen=True, slots=True)
class InForce:
    """A bypass that is in force: governing is off until ``ends_at`` (ISO 8601, the database's clock)."""

    id: str
    ends_at: str


@dataclass(frozen=True, slots=True)
class Modes:
    """The tenant's settings and the modes that hold. A mode is the reason that was given for it, None when it is off."""

    settings: Settings
    agent_stop: str | None
    bypass: InForce | None
    degraded: str | None

    def stop_of(self, agent: Any) -> str | None:
        """Why an agent is stopped, by itself or with all the others."""
        if self.agent_stop is not None:
            return self.agent_stop
        return agent.stopped_reason if agent.stopped else None

    def may_begin(self, agent: Any) -> bool:
        """Whether a run of this agent may begin."""
        if self.stop_of(agent) is not None:
            return False
        return self.bypass is not None or self.degraded is None


def current() -> Modes:
    """The modes and settings of the tenant in scope, as they were committed when the statement began."""
    return asking().answer()


def asking() -> Question[Modes]:
    """The same, for who asks more than this on one trip."""
    return _settings.ready().then(_modes)


def _modes(rows: list[Settings]) -> Modes:
    [settings] = rows
    found: Any = settings
    own = settings.degraded_reason if settings.degraded else None
    return Modes(
        settings=settings,
        agent_stop=settings.stopped_reason if settings.stopped else None,
        bypass=InForce(**found.bypass) if found.bypass else None,
        degraded=own if own is not None else found.degraded_everywhere,
    )


@compiled
def _settings() -> QuerySet[Settings]:
    """Always one: a tenant is made with its settings."""
    bypass = Bypass.objects.in_force().order_by()
    everywhere = ServerMode.objects.filter(name=ServerMode.Name.DEGRADED, on=True).order_by()
    return Settings.objects.annotate(
        bypass=Subquery(bypass.values(it=JSONObject(id="id", ends_at="ends_at"))[:1]),
        degraded_everywhere=Subquery(everywhere.values("reason")[:1]),
    ).order_by()
