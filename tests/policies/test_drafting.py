"""From a failure to a policy: what is drafted, what is broadened, and when there is none."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from threading import Barrier
from typing import Any

import pytest
from django.db import connection

from governance.actors import Actor
from governance.database.tenancy import tenant_scope
from governance.loop.bridges import GoOn, Stop, Work
from governance.models import LoopEvent, Tenant
from policies.models import Evidence, Policy, PolicyVersion
from policies.services import calls, confirmations, life, policy_set
from tests import factories
from tests.policies import living


def test_a_failure_bears_a_policy_that_watches(acme: Tenant) -> None:
    kind = living.pattern()
    work = living.step(kind)
    before = policy_set.revision()

    (came,) = living.land(work)

    policy = Policy.objects.get()
    assert isinstance(came, GoOn)
    assert came.facts == {"policy_id": policy.id, "policy_state": "shadow"}
    assert (policy.state, policy.action, policy.source) == ("shadow", "block", "recovery")
    assert (policy.pattern_id, policy.trace_id) == (kind.id, work.trace_id)
    assert policy.recovery_id == work.facts["recovery_id"]
    assert policy.confidence == pytest.approx(0.7)
    assert policy_set.revision() > before
    origin = Evidence.objects.get()
    assert (origin.kind, origin.incident_id) == ("origin", work.incident_id)
    assert PolicyVersion.objects.get().condition == policy.condition
    assert LoopEvent.objects.filter(trace_id=work.trace_id, type="policy_born").count() == 1


def test_what_failed_alike_in_two_runs_is_learned_and_not_memorised(acme: Tenant) -> None:
    kind = living.pattern()
    living.good_calls()
    wrong = [
        {"query": f"SELECT custmer_id FROM orders WHERE id = {number}", "limit": 1}
        for number in range(3)
    ]
    living.fail(kind, arguments=wrong[0], run=living.run("run-a"))

    living.fail(kind, arguments=wrong[1], run=living.run("run-b"))

    policy = Policy.objects.latest("id")
    assert "custmer_id" in policy.condition
    assert "WHERE" not in policy.condition
    assert policy.backtest["sample"] == 25
    assert policy.backtest["false_rejections"] == 0
    again = living.fail(kind, arguments=wrong[2], run=living.run("run-c"))
    assert again.subject == policy.id


@pytest.mark.parametrize(("others", "is_learned"), [(0, True), (60, False)])
def test_what_failures_share_says_less_where_most_calls_of_the_tool_fail(
    acme: Tenant, others: int, is_learned: bool
) -> None:
    kind = living.pattern()
    living.good_calls()
    for number in range(others):
        living.reported(living.decision({"query": f"other {number}", "limit": 1}), ok=False)
    for run in range(3):
        arguments = {"query": f"SELECT total FROM ledger WHERE id = {run}", "limit": 1}
        living.fail(kind, message="exit code 1", arguments=arguments, run=living.run(f"bad-{run}"))

    another = living.decision({"query": "SELECT total FROM ledger WHERE id = 77", "limit": 1})
    conditions = Policy.objects.values_list("condition", flat=True)
    assert any(calls.blocks(each, another) for each in conditions) is is_learned


def test_a_policy_in_shadow_is_broadened_for_another_shape_of_its_failure(acme: Tenant) -> None:
    kind = living.pattern()
    policy = living.born(kind, arguments={"query": "SELECT a"})

    came = living.fail(kind, arguments={"query": "SELECT b", "limit": 3})

    policy.refresh_from_db()
    assert came.subject == policy.id
    assert policy.version == 2
    assert Policy.objects.count() == 1
    assert living.fail(kind, arguments={"query": "SELECT a"}).subject == policy.id
    assert Policy.objects.count() == 1


def test_a_pending_policy_is_not_touched_but_gets_a_sibling(acme: Tenant) -> None:
    kind = living.pattern()
    asked = living.confirmed(kind, arguments={"query": "SELECT a"})

    came = living.fail(kind, arguments={"query": "SELECT b", "limit": 3})

    asked.refresh_from_db()
    assert (asked.state, asked.version) == ("pending", 1)
    assert came.subject != asked.id


def test_a_failure_that_passes_by_itself_is_not_forbidden_until_it_has_failed_often(
    acme: Tenant,
) -> None:
    kind = living.pattern()

    first, second = (living.fail(kind, remedy="retry_policy") for _ in range(2))

    assert isinstance(first, Stop)
    assert isinstance(second, Stop)
    assert first.failure_state == "policy_low_confidence"
    assert Policy.objects.count() == 0
    assert isinstance(living.fail(kind, remedy="retry_policy"), GoOn)
    assert Policy.objects.get().state == "shadow"


def test_what_went_well_elsewhere_is_forbidden_only_once_it_has_failed_in_the_same_run(
    acme: Tenant,
) -> None:
    living.succeed(living.WRONG)

    living.fail(living.pattern())

    policy = Policy.objects.get()
    assert "history.same_call_failures >= 1" in policy.condition
    assert policy.backtest["form"] == "again"


def test_what_worked_after_it_had_failed_in_the_same_run_cannot_be_forbidden(acme: Tenant) -> None:
    for ok in (False, False, False, True):
        living.reported(living.decision(living.WRONG), ok=ok)

    came = living.fail(living.pattern())

    assert isinstance(came, Stop)
    assert came.failure_state == "policy_low_confidence"
    assert not Policy.objects.exists()


@pytest.mark.parametrize(
    ("details", "because"),
    [
        ({"arguments": None}, "not known"),
        ({"tool": ""}, "not known"),
        ({"confidence": 0.5}, "0.50 is below"),
    ],
)
def test_without_a_call_or_confidence_the_loop_says_why_there_is_no_policy(
    acme: Tenant, details: dict[str, Any], because: str
) -> None:
    came = living.fail(living.pattern(), **details)

    assert isinstance(came, Stop)
    assert came.failure_state == "policy_low_confidence"
    assert because in came.headline


def test_what_a_person_rejected_is_not_drafted_again(acme: Tenant, rita: Actor) -> None:
    kind = living.pattern()
    life.reject(living.confirmed(kind), actor=rita, reason="We want these to fail.")

    came = living.fail(kind)

    assert isinstance(came, Stop)
    assert came.failure_state == "policy_rejected"
    assert "We want these to fail." in came.headline
    assert living.fail(kind, arguments={"query": "SELECT b"}).subject


def test_a_batch_of_one_kind_makes_one_policy(acme: Tenant) -> None:
    kind = living.pattern()

    outcomes = living.land(*(living.step(kind) for _ in range(5)))

    assert {came.subject for came in outcomes} == {Policy.objects.get().id}


def test_the_same_step_again_changes_nothing(acme: Tenant) -> None:
    work = living.step(living.pattern())
    living.land(work)

    (came,) = living.land(work)

    assert isinstance(came, GoOn)
    assert Policy.objects.count() == 1
    assert Evidence.objects.count() == 1


def test_a_detector_of_hallucinations_may_only_warn(acme: Tenant) -> None:
    assert living.born(living.pattern(), category="hallucination").action == "warn"


def test_known_kinds_take_a_handful_of_queries_however_many_they_are(
    acme: Tenant, rita: Actor, django_assert_max_num_queries: Callable[..., Any]
) -> None:
    kind = living.pattern()
    policy = living.active(kind, rita)
    works = [
        living.step(kind, **living.failed_at(living.decision(living.WRONG))) for _ in range(40)
    ]

    with django_assert_max_num_queries(6):
        outcomes = living.land(*works)

    assert {came.subject for came in outcomes} == {policy.id}
    assert Evidence.objects.filter(policy=policy, kind="support").count() == 40


@pytest.mark.django_db(transaction=True)
def test_two_workers_at_once_draft_one_policy() -> None:
    acme = factories.tenant("acme")
    with tenant_scope(acme.id):
        kind = living.pattern()
        works = [living.step(kind) for _ in range(4)]
    both = Barrier(2)

    def worker(mine: Sequence[Work]) -> list[str]:
        try:
            with tenant_scope(acme.id):
                both.wait(timeout=10)
                return [came.subject for came in living.land(*mine)]
        finally:
            connection.close()

    with ThreadPoolExecutor(2) as workers:
        subjects = list(workers.map(worker, [works[:2], works[2:]]))

    with tenant_scope(acme.id):
        assert {each for some in subjects for each in some} == {Policy.objects.get().id}
        assert confirmations(Policy.objects.get()) == 4
        assert Policy.objects.get().state == "pending"
