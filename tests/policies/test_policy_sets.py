"""What was in force: one hash on every decision, and behind it the policies as they were."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from django.db import DatabaseError, connection, transaction
from django.test.utils import CaptureQueriesContext
from rest_framework.test import APIClient

from governance.actors import Actor
from governance.database.tenancy import leave_tenant, tenant_scope
from governance.models import Tenant, User
from policies.models import Policy, PolicySet, PolicySnapshot
from policies.rules.snapshots import EMPTY
from policies.services import layers, life, policy_set, ruleset
from tests import factories

from . import living
from .guarding import ask, decided, policy


@pytest.fixture(autouse=True)
def fresh() -> None:
    ruleset.forget()


@pytest.fixture
def rita_asks(acme: Tenant, reviewer: User, api: Callable[..., APIClient]) -> APIClient:
    return api(factories.person_token(acme, reviewer))


def in_force(hash: str) -> dict[str, dict[str, Any]]:
    return {said["id"]: said for said in policy_set.contents(hash)}


def test_before_the_first_policy_the_set_is_the_empty_one(acme: Tenant) -> None:
    assert decided().policy_set_hash == EMPTY
    assert list(policy_set.contents(EMPTY)) == []


def test_a_decision_says_under_which_policies_it_was_made(acme: Tenant, rita: Actor) -> None:
    rule = policy(condition="true")
    before = decided()
    life.suspend(rule, actor=rita, reason="Too wide.")
    after = decided()
    assert (before.verdict, after.verdict) == ("block", "allow")
    assert in_force(before.policy_set_hash)[rule.id]["condition"] == "true"
    assert in_force(after.policy_set_hash) == {}
    assert before.policy_set < after.policy_set


def test_the_same_policies_are_the_same_set(acme: Tenant, rita: Actor) -> None:
    rule = policy()
    first = policy_set.standing()
    life.suspend(rule, actor=rita, reason="To see.")
    life.activate(rule, actor=rita, reason="It was right.")
    again = policy_set.standing()
    assert again.hash == first.hash
    assert again.revision > first.revision
    assert PolicySnapshot.objects.filter(hash=first.hash).count() == 2


def test_a_watching_policy_is_in_the_set_as_such(acme: Tenant) -> None:
    rule = living.manual()
    empty = policy_set.standing().hash
    assert empty == EMPTY
    life.submit(rule, actor=factories.SCOUT)
    assert in_force(policy_set.standing().hash)[rule.id]["in_force"] is False


def test_what_was_made_before_sets_had_hashes_gets_one_with_the_next_decision(acme: Tenant) -> None:
    rule = policy(condition='action.tool == "sql_query"', tool="")
    PolicySet.objects.update(root="")
    Policy.objects.update(changed_in=0, head={})
    record = decided()
    assert record.verdict == "block"
    assert set(in_force(record.policy_set_hash)) == {rule.id}
    rule.refresh_from_db()
    assert rule.head == {"action.tool": ["sql_query"]}


def test_a_snapshot_costs_decisions_nothing(acme: Tenant) -> None:
    for number in range(40):
        policy(f"rule {number}", condition=f"arguments.n == {number}")
    ask()
    with CaptureQueriesContext(connection) as caught:
        ask()
    assert not [one for one in caught if "snapshot" in one["sql"] or "setnode" in one["sql"]]


@pytest.mark.django_db(transaction=True)
def test_a_change_reads_no_other_policy() -> None:
    """Given a process that knows the set, when one of many policies changes."""
    tenant = factories.tenant("acme")
    with tenant_scope(tenant.id):
        rules = [policy(f"rule {number}", tool=f"tool-{number}") for number in range(30)]
    with tenant_scope(tenant.id):
        assert ask("tool-7", {"query": "x"}).verdict == "allow"
    before = {rule.id: rule for rule in ruleset._kept[tenant.id].rules()}
    with tenant_scope(tenant.id):
        Policy.objects.filter(pk=rules[7].pk).update(condition="true", version=2)
        policy_set.bump([rules[7]])
    with tenant_scope(tenant.id):
        assert ask("tool-7", {"query": "x"}).verdict == "block"
    after = {rule.id: rule for rule in ruleset._kept[tenant.id].rules()}
    assert [id for id in before if after[id] is not before[id]] == [rules[7].id]


@pytest.mark.parametrize("most", [0, 2, 512])
def test_changed_entries_are_carried_beside_the_others_or_merged(
    monkeypatch: pytest.MonkeyPatch, most: int
) -> None:
    monkeypatch.setattr(layers, "MOST_OVER", most)
    first: layers.Layers[str, int] = layers.Layers({"a": 1, "b": 2})
    second = first.changed({"a": 3, "c": 4})
    third = second.changed({"b": None, "d": 5, "c": None}).changed({"c": 6})
    assert [third.get(key) for key in "abcdx"] == [3, None, 6, 5, None]
    assert sorted(third.values()) == [3, 5, 6]
    assert sorted(first.values()) == [1, 2]


def test_what_left_the_set_is_gone_from_memory(acme: Tenant, rita: Actor) -> None:
    rule = policy(condition="true")
    assert ask().verdict == "block"
    life.retire(rule, actor=rita, reason="Wrong.")
    assert ask().verdict == "allow"


def test_a_database_that_was_restored_is_read_anew(acme: Tenant) -> None:
    first = policy(condition="true")
    assert ask().verdict == "block"
    Policy.objects.filter(pk=first.pk).update(state="retired")
    PolicySet.objects.update(revision=1, root=EMPTY)
    assert ask().verdict == "allow"


@pytest.mark.parametrize(
    ("condition", "fields", "asked"),
    [
        ('action.tool == "a" && arguments.n > 1', {}, ["a"]),
        ('action.tool in ["a", "b"]', {}, ["a", "b"]),
        ('action.tool in ["a", "b"]', {"tool": "b"}, ["b"]),
        ('action.tool == "a"', {"tool": "b"}, []),
        ('agent.id == "ranger"', {}, []),
        ('agent.id in ["scout", "ranger"]', {"tool": "c"}, ["c"]),
        ('action.kind == "command"', {}, []),
        ('action.kind != "command"', {}, ["a", "b", "c"]),
        ('action.tool == "a" || true', {}, ["a", "b", "c"]),
        (f"action.tool in [{', '.join(repr(f't{n}') for n in range(17))}]", {}, ["a", "b", "c"]),
    ],
)
def test_a_policy_is_found_by_what_its_condition_must_equal(
    acme: Tenant, condition: str, fields: dict[str, Any], asked: list[str]
) -> None:
    rule = policy(condition=condition, **{"tool": "", **fields})
    rules = ruleset.current(policy_set.standing())
    found = [tool for tool in "abc" if rules.about(tool, "scout", "tool_call")]
    assert found == asked
    if "t16" not in condition:
        for tool in "abc":
            blocked = ask(tool, {"n": 2}).verdict == "block"
            assert blocked == (tool in asked), rule


def test_the_set_of_a_decision_can_be_read(acme: Tenant, rita_asks: APIClient) -> None:
    for number in range(5):
        policy(f"rule {number}", tool=f"tool-{number}")
    record = decided()
    found, address = [], f"/api/v1/policy-sets/{record.policy_set_hash}?limit=2"
    while address:
        page = rita_asks.get(address).json()
        assert page["hash"] == record.policy_set_hash
        found += page["results"]
        address = page["next"]
    assert {one["name"] for one in found} == {f"rule {number}" for number in range(5)}
    assert len(found) == 5
    listed = rita_asks.get("/api/v1/policy-sets").json()["results"]
    assert record.policy_set_hash in {one["hash"] for one in listed}
    assert rita_asks.get(f"/api/v1/decisions/{record.id}").status_code == 404
    told = rita_asks.get(f"/api/v1/guard/decisions/{record.id}").json()
    assert told["policy_set_hash"] == record.policy_set_hash


@pytest.mark.parametrize("query", ["limit=0", "limit=x", "cursor=!"])
def test_a_wrong_page_is_refused(acme: Tenant, rita_asks: APIClient, query: str) -> None:
    policy()
    address = f"/api/v1/policy-sets/{policy_set.standing().hash}?{query}"
    assert rita_asks.get(address).status_code == 400


def test_umbra_sees_no_set_of_acmes(
    acme: Tenant, umbra: Tenant, api: Callable[..., APIClient]
) -> None:
    policy()
    hash = policy_set.standing().hash
    leave_tenant()
    with tenant_scope(umbra.id):
        assert not PolicySnapshot.objects.exists()
        with pytest.raises(LookupError):
            list(policy_set.contents(hash))
        token = factories.person_token(umbra, factories.member(umbra, "una", "reviewer"))
    assert api(token).get(f"/api/v1/policy-sets/{hash}").status_code == 404


@pytest.mark.parametrize("table", ["policies_policysnapshot", "policies_policysetnode"])
@pytest.mark.parametrize("change", ["UPDATE {} SET hash = 'x'", "DELETE FROM {}", "TRUNCATE {}"])
def test_a_snapshot_cannot_be_changed(acme: Tenant, table: str, change: str) -> None:
    policy()
    with pytest.raises(DatabaseError), transaction.atomic(), connection.cursor() as cursor:
        cursor.execute(change.format(table))
