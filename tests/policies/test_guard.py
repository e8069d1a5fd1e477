"""The guard's answer: strict, recorded, never older than the last change, and no on any doubt."""

from __future__ import annotations

import json
import threading
from typing import Any

import pytest
from django.db import connection, transaction

from governance.database.tenancy import leave_tenant, tenant_scope
from governance.identity import UnknownAgent
from governance.models import Agent, LedgerEntry, Run, Settings, Tenant
from policies.models import Decision, Policy, Prevention, WouldBlock
from policies.services import guard, policy_set, ruleset
from policies.services.policy_set import NONE_YET
from policies.services.record import record_of
from tests import factories
from tests.factories import SCOUT
from tests.holding import held

from .guarding import ARGUMENTS, CONDITION, ask, decided, policy

BROKEN = "arguments.query ==="
CANNOT_TELL = "arguments.missing == 1"


@pytest.fixture(autouse=True)
def fresh() -> None:
    """Every test begins as a process that has just started."""
    ruleset.forget()


def test_what_no_policy_speaks_of_is_allowed_by_default(acme: Tenant) -> None:
    answer = ask()
    assert (answer.verdict, answer.policies, answer.may_appeal) == ("allow", [], False)


def test_a_tenant_may_deny_what_no_policy_speaks_of(acme: Tenant) -> None:
    Settings.objects.update(default_verdict="block")
    answer = ask()
    assert (answer.verdict, answer.may_appeal) == ("block", True)
    assert "no policy speaks of" in answer.reason


def test_an_active_policy_blocks_what_it_is_about_and_says_so(acme: Tenant) -> None:
    rule = policy(explanation="The column is called customer_id.")
    answer = ask()
    assert (answer.verdict, answer.retryable, answer.may_appeal) == ("block", False, True)
    assert answer.policies == [{"id": rule.id, "name": rule.name, "action": "block", "version": 1}]
    assert rule.name in answer.reason
    assert "customer_id" in answer.reason


@pytest.mark.parametrize(
    "action",
    [
        {"tool": "other"},
        {"arguments": {"query": "SELECT customer_id FROM orders"}},
    ],
)
def test_what_a_policy_is_not_about_is_allowed(acme: Tenant, action: dict[str, Any]) -> None:
    policy()
    assert ask(**action).verdict == "allow"


def test_a_policy_without_a_tool_is_about_every_tool(acme: Tenant) -> None:
    policy(tool="")
    assert ask("other").verdict == "block"


def test_a_policy_of_one_agent_is_not_about_another(acme: Tenant) -> None:
    policy(scope_type="agent", scope_id="scout")
    assert ask(agent_name="scout").verdict == "block"
    assert ask(agent_name="ranger").verdict == "allow"


def test_a_policy_is_not_about_another_tenants_calls(acme: Tenant, umbra: Tenant) -> None:
    policy()
    leave_tenant()
    with tenant_scope(umbra.id):
        assert ask().verdict == "allow"


@pytest.mark.parametrize("action", Policy.Action.values)
def test_no_decision_without_a_record(acme: Tenant, action: str) -> None:
    rule = policy(action=action)
    answer = ask(context={"why": "a test"}, step=7)
    record = Decision.objects.get(pk=answer.decision_id)
    assert (record.verdict, record.tool, record.arguments, record.step) == (
        action,
        "sql_query",
        ARGUMENTS,
        7,
    )
    assert (record.agent.name, record.run.name, record.context) == (
        "scout",
        "run-1",
        {"why": "a test"},
    )
    assert [(each["id"], each["version"]) for each in record.policies] == [(rule.id, 1)]
    assert record.policy_set == policy_set.revision()
    entry = LedgerEntry.objects.get(subject=record.id)
    assert entry.kind == f"decision.{action}"
    assert json.loads(bytes(entry.body))["facts"] == {
        "policies": [rule.id],
        "policy_set": record.policy_set_hash,
        "revision": record.policy_set,
    }
    assert record.policy_set_hash == policy_set.standing().hash


def test_a_decision_that_is_rolled_back_is_nowhere(acme: Tenant) -> None:
    with transaction.atomic():
        decided()
        transaction.set_rollback(True)
    assert not Decision.objects.exists()
    assert not Run.objects.exists()


def test_the_strictest_policy_wins_whatever_their_order(acme: Tenant) -> None:
    for action in ["warn", "kill", "route_away", "block", "escalate"]:
        policy(action, action=action)
    answer = ask()
    assert answer.verdict == "kill"
    assert [each["action"] for each in answer.policies] == [
        "kill",
        "warn",
        "route_away",
        "block",
        "escalate",
    ]


def test_among_equals_the_lowest_id_decides(acme: Tenant) -> None:
    first, second = policy("first"), policy("second")
    assert first.id < second.id
    answer = ask()
    assert [each["id"] for each in answer.policies] == [first.id, second.id]
    assert "'first'" in answer.reason


def test_a_warning_is_not_a_refusal(acme: Tenant) -> None:
    policy(action="warn")
    Settings.objects.update(default_verdict="block")
    assert (ask().verdict, ask().may_appeal) == ("warn", False)


@pytest.mark.parametrize("state", ["shadow", "pending"])
def test_a_watching_policy_never_blocks_but_remembers(acme: Tenant, state: str) -> None:
    rule = policy(state=state, action="kill")
    record = decided()
    assert (record.verdict, record.policies) == ("allow", [])
    assert [(each["id"], each["version"]) for each in record.would_block] == [(rule.id, 1)]
    row = WouldBlock.objects.get()
    assert (row.policy_id, row.version, row.decision_id, row.result) == (
        rule.id,
        1,
        record.id,
        "open",
    )


@pytest.mark.parametrize("state", ["draft", "suspended", "retired"])
def test_a_policy_that_is_not_live_says_nothing(acme: Tenant, state: str) -> None:
    policy(state=state)
    record = decided()
    assert (record.verdict, record.would_block) == ("allow", [])


def test_a_rehearsals_policy_is_only_for_rehearsals(acme: Tenant) -> None:
    policy(simulated=True)
    record = decided()
    assert (record.verdict, record.simulated) == ("allow", False)
    Run.objects.create(agent=record.agent, name="rehearsal", simulated=True)
    rehearsed = decided(run_name="rehearsal")
    assert (rehearsed.verdict, rehearsed.simulated) == ("block", True)


def test_a_stopped_agent_gets_kill_from_the_next_decision_on(acme: Tenant) -> None:
    assert ask().verdict == "allow"
    Agent.objects.filter(name="scout").update(stopped=True)
    record = decided()
    assert (record.verdict, record.policies) == ("kill", [])
    assert "stopped" in record.reason
    assert ask(agent_name="ranger").verdict == "allow"


def test_agents_and_runs_are_known_from_first_sight(acme: Tenant) -> None:
    policy(state="draft")
    first, second = decided(), decided(step=1)
    assert first.run_id == second.run_id
    assert first.run.policy_set == str(policy_set.revision())


def test_a_strict_tenant_refuses_agents_that_nobody_registered(acme: Tenant) -> None:
    Settings.objects.update(strict_agents=True)
    factories.agent("scout")
    assert ask().verdict == "allow"
    with pytest.raises(UnknownAgent):
        ask(agent_name="stranger")


@pytest.mark.parametrize("condition", [BROKEN, CANNOT_TELL])
@pytest.mark.parametrize("action", ["block", "warn"])
def test_a_condition_that_cannot_tell_counts_as_met(
    acme: Tenant, condition: str, action: str
) -> None:
    rule = policy(condition=condition, action=action)
    record = decided()
    assert (record.verdict, record.policies[0]["id"]) == (action, rule.id)
    assert "counts as met" in record.reason


def test_only_what_is_not_about_the_call_may_be_retried(acme: Tenant) -> None:
    policy(condition=CANNOT_TELL, tool="one")
    policy(condition=BROKEN, tool="two")
    assert not ask("one").retryable
    answer = ask("two")
    assert answer.retryable
    assert answer.reason.startswith("governance_unavailable")
    policy(tool="two")
    assert not ask("two").retryable


@pytest.mark.parametrize("condition", [BROKEN, CANNOT_TELL])
def test_a_policy_that_fails_open_lets_it_pass_and_it_is_written_down_and_counted(
    acme: Tenant, condition: str
) -> None:
    rule = policy(condition=condition, failure_mode="fail_open")
    passed = decided()
    assert passed.verdict == "allow"
    entry = LedgerEntry.objects.get(subject=passed.id)
    assert json.loads(bytes(entry.body))["facts"]["failed_open"] == [rule.id]
    told = record_of(rule)["let_pass"]
    [one] = told["faults"]
    assert (told["count"], told["stopped_anyway"]) == (1, 0)
    assert (one["count"], one["latest_decision_id"]) == (1, passed.id)
    assert one["fault"]


def test_what_a_policy_let_pass_and_another_stopped_is_told_apart(acme: Tenant) -> None:
    rule = policy(condition=CANNOT_TELL, failure_mode="fail_open")
    decided()
    policy(condition="true")
    decided()
    told = record_of(rule)["let_pass"]
    assert (told["count"], told["stopped_anyway"]) == (2, 1)
    assert [one["count"] for one in told["faults"]] == [2]


def test_what_it_let_pass_when_it_could_tell_is_not_counted(acme: Tenant) -> None:
    rule = policy(condition="false", failure_mode="fail_open")
    decided()
    assert record_of(rule)["let_pass"] == {
        "count": 0,
        "stopped_anyway": 0,
        "faults": [],
    }


@pytest.mark.parametrize("condition", [BROKEN, CANNOT_TELL])
def test_a_watching_policy_that_cannot_tell_says_nothing(acme: Tenant, condition: str) -> None:
    policy(condition=condition, state="shadow")
    record = decided()
    assert (record.verdict, record.would_block) == ("allow", [])
    assert not WouldBlock.objects.exists()


def test_an_action_that_nobody_knows_denies_everything(acme: Tenant) -> None:
    policy(action="explode", tool="other")
    answer = ask()
    assert (answer.verdict, answer.retryable) == ("block", True)
    assert answer.reason.startswith("governance_unavailable")
    assert Decision.objects.get(pk=answer.decision_id).verdict == "block"


def test_hostile_names_and_arguments_are_only_text(acme: Tenant) -> None:
    policy("{0.__class__} \u202e'; DROP TABLE x", tool="sql_query")
    arguments = {"query": "custmer_id", "{}": ["\u0085", 2**63 - 1, {"a": None}]}
    record = decided(arguments=arguments)
    assert (record.verdict, record.arguments) == ("block", arguments)


def test_a_simulation_answers_the_same_and_leaves_no_trace(acme: Tenant) -> None:
    policy("in force")
    watching = policy("watching", state="shadow")
    before = LedgerEntry.objects.count()
    asked: dict[str, Any] = {
        "agent_name": "scout",
        "run_name": "run-1",
        "step": 0,
        "kind": "tool_call",
        "tool": "sql_query",
        "arguments": ARGUMENTS,
        "context": {},
    }
    simulated = guard.simulate(**asked)
    for model in (Decision, WouldBlock, Prevention, Agent, Run):
        assert not model.objects.exists(), model
    assert LedgerEntry.objects.count() == before
    assert [each["id"] for each in simulated.would_block] == [watching.id]
    real = guard.decide(**asked, actor=SCOUT)
    assert simulated.decision_id is None
    assert (simulated.verdict, simulated.reason, simulated.policies) == (
        real.verdict,
        real.reason,
        real.policies,
    )


def test_a_simulation_is_as_strict_as_the_tenant(acme: Tenant) -> None:
    Settings.objects.update(strict_agents=True)
    with pytest.raises(UnknownAgent):
        guard.simulate(
            agent_name="stranger",
            run_name="r",
            step=None,
            kind="command",
            tool="",
            arguments={},
            context={},
        )


# What memory holds is only visible where transactions really commit.


def committed(slug: str = "acme") -> Tenant:
    return factories.tenant(slug)


@pytest.mark.django_db(transaction=True)
def test_an_allow_in_a_known_run_takes_few_queries(django_assert_max_num_queries: Any) -> None:
    tenant = committed()
    with tenant_scope(tenant.id):
        for number in range(50):
            policy(f"rule {number}", condition=f'arguments.query == "{number}"')
    with tenant_scope(tenant.id):
        ask()
    with tenant_scope(tenant.id), django_assert_max_num_queries(7) as counted:
        assert ask().verdict == "allow"
    assert not [query for query in counted.captured_queries if 'policies_policy"' in query["sql"]]


@pytest.mark.django_db(transaction=True)
def test_the_next_decision_sees_a_change_in_whatever_thread_it_is_asked() -> None:
    tenant = committed()

    def elsewhere(work: Any) -> Any:
        found: list[Any] = []

        def run() -> None:
            try:
                with tenant_scope(tenant.id):
                    found.append(work())
            finally:
                connection.close()

        thread = threading.Thread(target=run)
        thread.start()
        thread.join()
        return found[0]

    with tenant_scope(tenant.id):
        assert ask().verdict == "allow"
    rule = elsewhere(policy)
    with tenant_scope(tenant.id):
        assert ask().verdict == "block"
    assert elsewhere(lambda: ask().verdict) == "block"
    with tenant_scope(tenant.id):
        Policy.objects.filter(pk=rule.id).update(state="shadow")
        policy_set.bump([rule])
    assert elsewhere(lambda: ask().verdict) == "allow"
    with tenant_scope(tenant.id):
        assert ask().verdict == "allow"


@pytest.mark.django_db(transaction=True)
def test_a_change_that_was_rolled_back_leaves_nothing_in_memory() -> None:
    tenant = committed()
    with tenant_scope(tenant.id):
        policy_set.bump([])
    with tenant_scope(tenant.id):
        policy()
        assert ask().verdict == "block"
        transaction.set_rollback(True)
    with tenant_scope(tenant.id):
        # Another change takes the revision that was rolled back.
        policy(condition='arguments.query == "other"')
        assert ask().verdict == "allow"


@pytest.mark.django_db(transaction=True)
def test_two_tenants_are_kept_apart_in_memory() -> None:
    acme, umbra = committed(), committed("umbra")
    with tenant_scope(acme.id):
        policy()
    with tenant_scope(umbra.id):
        policy_set.bump([])
    for _ in range(2):
        with tenant_scope(acme.id):
            assert ask().verdict == "block"
        with tenant_scope(umbra.id):
            assert ask().verdict == "allow"


@pytest.mark.django_db(transaction=True)
def test_memory_holds_a_bounded_number_of_tenants(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ruleset, "TENANTS_KEPT", 2)
    tenants = [committed(f"tenant-{number}") for number in range(3)]
    for tenant in tenants:
        with tenant_scope(tenant.id):
            ask()
    assert list(ruleset._kept) == [tenant.id for tenant in tenants[1:]]


@pytest.mark.django_db(transaction=True)
def test_policies_that_cannot_be_read_deny_and_that_is_recorded() -> None:
    """Given another session that holds the table, as a migration does."""
    tenant = committed()
    with held("policies_policy"), tenant_scope(tenant.id):
        with connection.cursor() as cursor:
            cursor.execute("SET LOCAL lock_timeout = '50ms'")
        record = decided()
    assert (record.verdict, record.policies) == ("block", [])
    assert record.reason.startswith("governance_unavailable")
    with tenant_scope(tenant.id):
        assert ask().verdict == "allow"


def test_ten_thousand_policies_about_other_tools_are_not_asked() -> None:
    def rule(number: int) -> ruleset.Rule:
        return ruleset.Rule(
            id=f"pol_{number:05}",
            name="",
            action="block",
            category="operational",
            version=1,
            is_active=True,
            is_simulated=False,
            fails_open=False,
            tool=f"tool-{number}",
            agent=ruleset.EVERY,
            source=CONDITION,
            explanation="",
            pattern_id=None,
            trace_id=None,
            incident_id=None,
        )

    rules = ruleset.Ruleset("acme", NONE_YET, map(rule, range(10_000)))
    assert [each.id for each in rules.about("tool-7", "scout")] == ["pol_00007"]
    assert rules.about("sql_query", "scout") == []
