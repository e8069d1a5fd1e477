"""Whose word holds: agent_stop > bypass > degraded > policies > the tenant's default, in every combination."""

from __future__ import annotations

from dataclasses import dataclass

import pytest
from django.db import transaction
from django.utils import timezone

from catalog.models import PatternMatch
from governance.actors import Actor
from governance.models import Run, Settings, Tenant
from governance.modes.degrading import set_degraded
from governance.modes.stopping import stop
from policies.models import Decision, Policy, Prevention, WouldBlock
from policies.rules import STRENGTH, Word, last_word
from policies.services import calls, evidence, guard, ruleset
from policies.services.calls import Stored
from policies.services.rates import of_tenant
from routing.rules import KPI_MIN_OUTCOMES
from routing.services import kpi

from .. import factories
from ..policies.guarding import ARGUMENTS, ask, pattern, policy
from .conftest import bypassed

STOPS = ("", "agent", "tenant")
SAID = ("", *Policy.Action.values)
DEFAULTS = ("allow", "block")


@dataclass(frozen=True)
class Scene:
    """What holds when an agent asks; ``said`` is the policies' word, empty where none speaks of the call."""

    stop: str
    is_bypassed: bool
    is_degraded: bool
    is_new_run: bool
    said: str
    default: str

    @property
    def without_modes(self) -> str:
        return self.said or self.default

    def expected(self) -> tuple[str, str, str]:
        """Verdict, mode and would-be verdict, from the table in docs/operations.md read aloud."""
        if self.stop:
            return "kill", "agent_stop", ""
        said = self.without_modes
        degraded = said
        if self.is_degraded and self.is_new_run and said not in ("block", "kill"):
            degraded = "block"
        elif self.is_degraded and not self.is_new_run and said == "allow":
            degraded = "warn"
        if self.is_bypassed:
            return "allow", "bypass", degraded
        if degraded != said:
            return degraded, "degraded", said
        return said, "", ""


def set_the_scene(scene: Scene, ada: Actor, abel: Actor) -> None:
    Settings.objects.update(default_verdict=scene.default)
    if not scene.is_new_run:
        ask("another tool")
    if scene.said:
        policy(action=scene.said)
    if scene.is_bypassed:
        bypassed(ada, abel)
    if scene.is_degraded:
        set_degraded(on=True, actor=ada, reason="slow")
    if scene.stop:
        agent = factories.agent("scout") if scene.stop == "agent" else None
        stop(agent, actor=ada, reason="A leak")


@pytest.mark.parametrize("default", DEFAULTS)
@pytest.mark.parametrize("is_new_run", [False, True], ids=["running", "new run"])
@pytest.mark.parametrize("is_degraded", [False, True], ids=["normal", "degraded"])
@pytest.mark.parametrize("is_bypassed", [False, True], ids=["governed", "bypassed"])
@pytest.mark.parametrize("stop", STOPS)
def test_every_combination_is_answered_as_the_table_says(
    acme: Tenant,
    ada: Actor,
    abel: Actor,
    stop: str,
    is_bypassed: bool,
    is_degraded: bool,
    is_new_run: bool,
    default: str,
) -> None:
    for said in SAID:
        scene = Scene(stop, is_bypassed, is_degraded, is_new_run, said, default)
        with transaction.atomic():
            set_the_scene(scene, ada, abel)
            simulated = guard.simulate(
                agent_name="scout",
                run_name="run-1",
                step=0,
                kind="tool_call",
                tool="sql_query",
                arguments=ARGUMENTS,
                context={},
            )
            answer = ask()
            record = Decision.objects.get(pk=answer.decision_id)
            assert (record.verdict, record.mode, record.would_be) == scene.expected(), scene
            assert (simulated.verdict, simulated.mode) == (answer.verdict, answer.mode), scene
            assert bool(record.reason) or record.verdict == "allow", scene
            if scene.is_degraded and not scene.stop and not scene.is_bypassed:
                assert "slow" in record.reason, scene
            assert Run.objects.get(name="run-1").refused == (
                scene.is_new_run and (bool(scene.stop) or (is_degraded and not is_bypassed))
            ), scene
            transaction.set_rollback(True)
        ruleset.forget()


@pytest.mark.parametrize("said", list(STRENGTH))
def test_degraded_never_softens_a_word(said: str) -> None:
    for is_new_run in (False, True):
        word = last_word(
            said, is_stopped=False, is_bypassed=False, is_degraded=True, is_new_run=is_new_run
        )
        assert STRENGTH[word.verdict] >= STRENGTH[said]
        assert (word.mode == "") == (word.verdict == said)


def test_no_mode_changes_nothing() -> None:
    for said in STRENGTH:
        quiet = {"is_stopped": False, "is_bypassed": False, "is_degraded": False}
        assert last_word(said, **quiet, is_new_run=True) == Word(said)


# --- What counts as evidence -------------------------------------------------------------------------------------


def test_a_bypassed_block_prevents_nothing_and_judges_no_shadow_policy(
    acme: Tenant, ada: Actor, abel: Actor
) -> None:
    policy()
    watching = policy("watching", state="shadow")
    bypassed(ada, abel)
    decision = Decision.objects.get(pk=ask().decision_id)
    assert decision.would_block[0]["id"] == watching.id
    assert decision.is_overridden
    assert not Prevention.objects.exists()
    assert not WouldBlock.objects.exists()
    guard.report_outcome(decision, ok=True, actor=factories.SCOUT)
    watching.refresh_from_db()
    assert watching.state == "shadow"
    assert decision.outcomes.get().overridden


def test_a_call_that_would_have_been_allowed_anyway_counts_as_ever(
    acme: Tenant, ada: Actor, abel: Actor
) -> None:
    policy("watching", state="shadow")
    bypassed(ada, abel)
    decision = Decision.objects.get(pk=ask().decision_id)
    assert not decision.is_overridden
    assert WouldBlock.objects.get().decision_id == decision.id
    guard.report_outcome(decision, ok=True, actor=factories.SCOUT)
    assert WouldBlock.objects.get().result == "false_rejection"
    assert not decision.outcomes.get().overridden


@pytest.mark.parametrize("is_bypassed", [False, True])
def test_what_a_bypass_let_through_is_no_good_call_to_draft_by(
    acme: Tenant, ada: Actor, abel: Actor, is_bypassed: bool
) -> None:
    """Given a call that went well, and that an active policy blocks when somebody governs."""
    if is_bypassed:
        policy()
        bypassed(ada, abel)
    decision = Decision.objects.get(pk=ask().decision_id)
    guard.report_outcome(decision, ok=True, actor=factories.SCOUT)
    assert len(Stored().good("sql_query")) == (0 if is_bypassed else 1)


@pytest.mark.parametrize("is_bypassed", [False, True])
def test_a_failure_that_a_bypass_let_through_was_not_failed_to_prevent(
    acme: Tenant, ada: Actor, abel: Actor, is_bypassed: bool
) -> None:
    kind = pattern()
    action = "block" if is_bypassed else "warn"
    policy(pattern=kind, action=action)
    if is_bypassed:
        bypassed(ada, abel)
    decision = Decision.objects.get(pk=ask().decision_id)
    incident = guard.report_outcome(
        decision, ok=False, error_type="E", error_message="no", actor=factories.SCOUT
    )
    assert incident is not None
    PatternMatch.objects.create(incident=incident, pattern=kind, confidence=0.95, band="strong")
    assert of_tenant(timezone.now()).incidents == (0 if is_bypassed else 1)


@pytest.mark.parametrize("is_bypassed", [False, True])
def test_a_failure_that_a_bypass_let_through_confirms_no_policy(
    acme: Tenant, ada: Actor, abel: Actor, is_bypassed: bool
) -> None:
    watching = policy("watching", state="shadow")
    if is_bypassed:
        policy("in force")
        bypassed(ada, abel)
    decision = Decision.objects.get(pk=ask().decision_id)
    incident = guard.report_outcome(
        decision, ok=False, error_type="E", error_message="no", actor=factories.SCOUT
    )
    assert incident is not None
    seen = calls.see({incident.id: None})[incident.id]
    assert evidence.kind_for(watching, seen) == ("support" if is_bypassed else "confirmation")


@pytest.mark.parametrize("is_bypassed", [False, True])
def test_what_a_bypass_let_through_is_not_what_routing_is_judged_by(
    acme: Tenant, ada: Actor, abel: Actor, is_bypassed: bool
) -> None:
    policy(action="block" if is_bypassed else "warn")
    if is_bypassed:
        bypassed(ada, abel)
    for _ in range(KPI_MIN_OUTCOMES):
        decision = Decision.objects.get(pk=ask().decision_id)
        guard.report_outcome(decision, ok=True, actor=factories.SCOUT)
    scout = factories.agent("scout")
    rate = kpi.baseline(scout.id, "sql_query")
    assert rate == (None if is_bypassed else 1.0)
