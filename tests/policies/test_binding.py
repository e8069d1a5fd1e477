"""When a policy comes into force for a run: at its start, at its first token, or with its next step."""

from __future__ import annotations

from typing import Any

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext

from governance.actors import Actor
from governance.models import Run, Tenant
from policies.models import Policy
from policies.services import life, policy_set, ruleset

from .guarding import ask, policy


@pytest.fixture(autouse=True)
def fresh() -> None:
    ruleset.forget()


def step(run: str = "run-1", **details: Any) -> str:
    return ask(run_name=run, **details).verdict


def token(run: str = "run-1") -> str:
    return step(run, kind="llm_call", tool="")


@pytest.mark.parametrize("state", ["active", "shadow"])
def test_a_policy_holds_from_the_next_step_of_a_run_on(acme: Tenant, state: str) -> None:
    assert step() == "allow"
    rule = policy(condition="true", state=state)
    answer = ask()
    told = answer.policies if state == "active" else answer.would_block
    assert [one["id"] for one in told] == [rule.id]


def test_bound_at_the_start_it_is_about_runs_that_begin_under_it(acme: Tenant) -> None:
    assert step() == "allow"
    policy(condition="true", bind_at="run_start")
    assert (step(), step("run-2"), step("run-2")) == ("allow", "block", "block")


def test_a_change_of_its_words_is_for_later_runs_too(acme: Tenant) -> None:
    rule = policy(condition="false", bind_at="run_start")
    assert step() == "allow"
    Policy.objects.filter(pk=rule.pk).update(condition="true")
    policy_set.bump([rule])
    assert (step(), step("run-2")) == ("allow", "block")


def test_bound_at_the_first_token_it_is_about_runs_whose_model_has_not_answered(
    acme: Tenant,
) -> None:
    for run in ("talking", "silent"):
        assert step(run) == "allow"
    assert token("talking") == "allow"
    policy(tool="sql_query", condition="true", bind_at="first_token")
    assert (step("talking"), step("silent"), step("new")) == ("allow", "block", "block")


def test_a_first_token_that_came_under_it_binds_it(acme: Tenant) -> None:
    assert step() == "allow"
    policy(tool="sql_query", condition="true", bind_at="first_token")
    assert token() == "allow"
    assert step() == "block"


@pytest.mark.parametrize("bind_at", Policy.BindAt.values)
def test_out_of_force_is_out_of_force_wherever_it_was_bound(
    acme: Tenant, rita: Actor, bind_at: str
) -> None:
    rule = policy(condition="true", bind_at=bind_at)
    assert step() == "block"
    life.suspend(rule, actor=rita, reason="It does harm.")
    assert step() == "allow"


def test_a_run_that_began_when_no_policy_could_be_read_is_under_every_policy(acme: Tenant) -> None:
    assert step() == "allow"
    Run.objects.update(policy_set="")
    policy(condition="true", bind_at="run_start")
    assert step() == "block"


def test_only_a_late_policy_bound_at_the_first_token_costs_a_statement(acme: Tenant) -> None:
    def statements() -> int:
        with CaptureQueriesContext(connection) as caught:
            step()
        return len(caught)

    policy(condition="false", bind_at="first_token")
    policy(condition="false", bind_at="run_start")
    step()
    usual = statements()
    Run.objects.update(policy_set="0")
    assert statements() == usual + 1
