"""What is known about the patterns of a batch, one query for each question however many incidents there are."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field

from django.conf import settings
from django.db import connection
from django.db.models import QuerySet

from catalog.models import PatternMatch
from governance import tenants
from governance.database.compiled import compiled
from governance.database.scoped import IN_SCOPE

from ..models import Directive, RecoveryTemplate
from ..rules import PROVING_TIME
from . import directives

# Older results say little about today, and a limit keeps the cost of a loop the same for ever.
LATEST_RESULTS = 100
# The rule asks whether there were one, two or more.
OCCURRENCES_THAT_MATTER = 3


@dataclass(frozen=True, slots=True)
class Results:
    """How the latest recoveries of a template turned out, as far as that is known by now."""

    successes: int = 0
    known: int = 0


@dataclass(frozen=True, slots=True)
class Grounds:
    """What suggestions for a batch of matches are based on."""

    templates: dict[str, RecoveryTemplate]
    results: dict[str, Results]
    occurrences: dict[str, int]
    asks_model: bool
    # The pattern that each is told as: what was merged into another pattern is of that one.
    told_as: dict[str, str] = field(default_factory=dict)
    in_force: dict[tuple[str, str], list[Directive]] = field(
        default_factory=lambda: defaultdict(list)
    )

    def remember(self, directive: Directive) -> None:
        """A directive that came into force, so that the rest of the batch joins it."""
        pattern = self.told_as.get(directive.pattern_id, directive.pattern_id)
        self.in_force[pattern, directive.tool].append(directive)

    def directive(
        self, pattern_id: str, tool: str, kind: str, params: dict[str, object]
    ) -> Directive | None:
        """The directive in force that does exactly this."""
        place = directives.place_of(tool, kind, params)
        wanted = directives.digest_of(place, kind, params)
        found = self.in_force.get((pattern_id, place), [])
        return next((each for each in found if each.params_digest == wanted), None)

    def directive_of_kind(self, pattern_id: str, tool: str, kind: str | None) -> Directive | None:
        """The newest directive in force about this tool; of one kind, or of any where that is None."""
        found = self.in_force.get((pattern_id, tool), [])
        return next((each for each in reversed(found) if kind in {None, each.kind}), None)


def gather(matches: Sequence[PatternMatch]) -> Grounds:
    """Read the grounds for these matches; directives in force stay so until the transaction ends."""
    told_as = {member: match.pattern_id for match in matches for member in match.pattern.family}
    own = {match.pattern_id for match in matches}
    # The pattern's own goes before those of what was merged into it.
    found = sorted(_templates(list(told_as)), key=lambda each: each.pattern_id in own)
    templates = {told_as[each.pattern_id]: each for each in found}
    grounds = Grounds(
        templates=templates,
        results=_results(template.id for template in templates.values()),
        occurrences=_occurrences(told_as),
        asks_model=bool(settings.LLM_URL) and tenants.settings().llm_recoveries,
        told_as=told_as,
    )
    for directive in directives.in_force(told_as):
        grounds.remember(directive)
    return grounds


@compiled
def _templates(pattern_ids: Sequence[str]) -> QuerySet[RecoveryTemplate]:
    return RecoveryTemplate.objects.filter(pattern_id__any=pattern_ids, enabled=True)


def _occurrences(told_as: Mapping[str, str]) -> Counter[str]:
    """Incidents of each pattern and of what was merged into it, counted no further than it matters."""
    with connection.cursor() as cursor:
        cursor.execute(
            """
            SELECT wanted.id, (SELECT count(*) FROM (SELECT FROM catalog_patternmatch seen
                                                      WHERE seen.pattern_id = wanted.id
                                                        AND seen.tenant_id = %s LIMIT %s) few)
              FROM unnest(%s::text[]) wanted(id)
            """,
            [IN_SCOPE, OCCURRENCES_THAT_MATTER, list(told_as)],
        )
        counted: Counter[str] = Counter()
        for pattern, count in cursor.fetchall():
            counted[told_as[pattern]] += count
        return counted


def _results(template_ids: Iterable[str]) -> dict[str, Results]:
    wanted = list(template_ids)
    if not wanted:
        return {}
    with connection.cursor() as cursor:
        cursor.execute(
            _LATEST_RESULTS,
            {
                "templates": wanted,
                "most": LATEST_RESULTS,
                "proving": PROVING_TIME.total_seconds(),
                "tenant": IN_SCOPE,
            },
        )
        return {each: Results(successes, known) for each, successes, known in cursor.fetchall()}


# A recovery helped when a day passed in which its pattern did not come back in that agent (the design's "success of a
# recovery"): coming back sooner is a failure, a roll-back whenever it happens, and before the day is over nothing is
# known. Every matched incident gets one recovery, so a later one of the same pattern and agent is a recurrence.
_LATEST_RESULTS = """
SELECT wanted.id,
       count(*) FILTER (WHERE NOT failed AND now() > proven_at),
       count(*) FILTER (WHERE failed OR now() > proven_at)
  FROM unnest(%(templates)s::text[]) wanted(id)
 CROSS JOIN make_interval(secs => %(proving)s) proving(time)
 CROSS JOIN LATERAL (
       SELECT made.applied_at + proving.time AS proven_at,
              made.state = 'rolled_back' OR EXISTS (
                  SELECT FROM recovery_recovery again
                   WHERE again.pattern_id = made.pattern_id AND again.agent_id = made.agent_id
                     AND again.tenant_id = made.tenant_id
                     AND again.created_at > made.applied_at
                     AND again.created_at <= made.applied_at + proving.time) AS failed
         FROM recovery_recovery made
        WHERE made.template_id = wanted.id AND made.applied_at IS NOT NULL AND made.tenant_id = %(tenant)s
        ORDER BY made.id DESC LIMIT %(most)s) latest
 GROUP BY wanted.id
"""
