"""Which runs a policy is about: those that begin under it, those whose first model call does, or every one at once.

A policy comes into force for a run at one of three moments (``Policy.BindAt``). What counts is the revision of the
policy set since which the policy says what it says, beside the one that the run, or its first model call, was decided
under: no clock. Taking a policy out of force holds for every run from the next decision on, whatever it was bound at.
"""

from __future__ import annotations

from collections.abc import Iterable

from governance.models import Run
from policies.models import Decision, Policy

from .ruleset import Rule

BindAt = Policy.BindAt


def bound(rules: Iterable[Rule], run: Run, *, is_new_run: bool) -> list[Rule]:
    """Those of these rules that are about this run now.

    A statement only where a rule that is bound at the first token came after the run had begun.
    """
    found = list(rules)
    if is_new_run or all(rule.bind_at == BindAt.EACH_STEP for rule in found):
        return found
    if not run.policy_set.isdecimal():
        # It began when no policy could be read. In doubt every rule is about it.
        return found
    began = int(run.policy_set)
    late = {rule.id for rule in found if rule.changed_in > began}
    left_out = {rule.id for rule in found if rule.bind_at == BindAt.RUN_START} & late
    waiting = {rule.id for rule in found if rule.bind_at == BindAt.FIRST_TOKEN} & late
    if waiting and (first := _first_model_call(run)) is not None:
        left_out |= {rule.id for rule in found if rule.id in waiting and rule.changed_in > first}
    return [rule for rule in found if rule.id not in left_out]


def _first_model_call(run: Run) -> int | None:
    """The revision under which the run's first model call was allowed; None where there was none yet."""
    calls = Decision.objects.filter(
        run=run, kind=Decision.Kind.LLM_CALL, verdict__in=Decision.YES
    ).order_by("id")
    return calls.values_list("policy_set", flat=True).first()
