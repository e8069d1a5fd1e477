"""What is known about the patterns of a batch, one query for each question however many incidents there are."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass, field

from django.conf import settings
from django.db import connection
from django.utils import timezone

from catalog.models import PatternMatch
from governance import tenants

from ..models import Directive, Recovery, RecoveryTemplate
from ..rules import was_success
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
    in_force: dict[tuple[str, str], list[Directive]] = field(
        default_factory=lambda: defaultdict(list)
    )

    def remember(self, directive: Directive) -> None:
        """A directive that came into force, so that the rest of the batch joins it."""
        self.in_force[directive.pattern_id, directive.tool].append(directive)

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
    pattern_ids = {match.pattern_id for match in matches}
    templates = {
        template.pattern_id: template
        for template in RecoveryTemplate.objects.filter(pattern__in=pattern_ids, enabled=True)
    }
    grounds = Grounds(
        templates=templates,
        results=_results(template.id for template in templates.values()),
        occurrences=_occurrences(pattern_ids),
        asks_model=bool(settings.LLM_URL) and tenants.settings().llm_recoveries,
    )
    for directive in directives.in_force(pattern_ids):
        grounds.remember(directive)
    return grounds


def _occurrences(pattern_ids: Collection[str]) -> dict[str, int]:
    """Incidents of each pattern, counted no further than it matters."""
    with connection.cursor() as cursor:
        cursor.execute(
            """
            SELECT wanted.id, (SELECT count(*) FROM (SELECT FROM catalog_patternmatch seen
                                                      WHERE seen.pattern_id = wanted.id LIMIT %s) few)
              FROM unnest(%s::text[]) wanted(id)
            """,
            [OCCURRENCES_THAT_MATTER, list(pattern_ids)],
        )
        return dict(cursor.fetchall())


def _results(template_ids: Iterable[str]) -> dict[str, Results]:
    wanted = list(template_ids)
    if not wanted:
        return {}
    with connection.cursor() as cursor:
        cursor.execute(_LATEST_RESULTS, [wanted, LATEST_RESULTS])
        rows = cursor.fetchall()
    now, verdicts = timezone.now(), defaultdict[str, list[bool]](list)
    for template_id, state, applied_at, recurred_at in rows:
        verdict = was_success(
            applied_at=applied_at,
            rolled_back_at=applied_at if state == Recovery.State.ROLLED_BACK else None,
            recurred_at=recurred_at,
            now=now,
        )
        if verdict is not None:
            verdicts[template_id].append(verdict)
    return {each: Results(sum(found), len(found)) for each, found in verdicts.items()}


# Every matched incident gets one recovery, so a later one of the same pattern and agent is a recurrence.
_LATEST_RESULTS = """
SELECT latest.template_id, latest.state, latest.applied_at,
       (SELECT min(again.created_at) FROM recovery_recovery again
         WHERE again.pattern_id = latest.pattern_id AND again.agent_id = latest.agent_id
           AND again.created_at > latest.applied_at)
  FROM unnest(%s::text[]) wanted(id)
 CROSS JOIN LATERAL (SELECT * FROM recovery_recovery
                      WHERE template_id = wanted.id AND applied_at IS NOT NULL
                      ORDER BY id DESC LIMIT %s) latest
"""
