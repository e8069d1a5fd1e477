"""What is suggested, how sure we are of it, and when nobody needs to be asked."""

from __future__ import annotations

from datetime import timedelta

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext
from django.utils import timezone

from governance import checkpoints
from governance.database.tenancy import enter_tenant, leave_tenant
from governance.loop.bridges import GoOn, Wait
from governance.models import Checkpoint, FailureState, Settings
from recovery import services
from recovery.models import Directive, Recovery
from recovery.rules import may_join, needs_confirmation

from .cast import land, pattern, question_of, recovery_of, work

RETRY = {"max_attempts": 2, "backoff_ms": 100, "retry_on": ["OperationalError"]}
# A batch of recurrences: what is there, matches, templates, occurrences, directives, the write; and room for two.
QUERIES_OF_A_BATCH = 8


def approve(each, actor):
    question = question_of(each)
    checkpoints.decide(question, approve=True, actor=actor, digest=question.digest)


def applied(of, actor, **details):
    """A work of the pattern whose recovery a person approved, and that landed."""
    first = work(of, "novel", is_new=True, **details)
    land(first)
    approve(first, actor)
    assert isinstance(land(first)[0], GoOn)
    return first


def template(of, actor, **details):
    wanted = {
        "name": "Retry twice",
        "kind": "retry_policy",
        "params": RETRY,
        "declared_confidence": 0.95,
    }
    return services.make_template(of, **{**wanted, **details}, actor=actor)


@pytest.mark.parametrize(
    ("band", "is_new", "joins"),
    [
        ("strong", False, True),
        ("weak", False, False),
        ("weak", True, False),
        ("novel", True, False),
        ("novel", False, True),  # another worker opened the very same pattern a moment before
    ],
)
def test_only_a_sure_match_joins_what_is_in_force(band, is_new, joins):
    assert may_join(band, is_new=is_new) is joins


@pytest.mark.parametrize(
    ("confidence", "band", "needed"),
    [(0.69, "strong", True), (0.70, "strong", False), (0.90, "weak", True), (0.70, "novel", False)],
)
def test_confirmation_is_needed_where_we_are_not_sure(confidence, band, needed):
    assert needs_confirmation(confidence, band) is needed


def test_a_new_failure_gets_the_heuristic_and_waits_for_a_person(acme):
    new = work(pattern(), "novel", is_new=True)

    (outcome,) = land(new)

    recovery = recovery_of(new)
    assert isinstance(outcome, Wait)
    assert outcome.failure_state == FailureState.RECOVERY_NEEDS_CONFIRMATION
    assert outcome.waits_for == question_of(new).id
    assert outcome.facts == {"recovery_id": recovery.id, "recovery_state": "suggested"}
    assert (recovery.source, recovery.kind) == ("heuristic", "pre_check")
    assert recovery.confidence == 0.50
    assert not Directive.objects.exists()


def test_a_person_sees_exactly_what_would_be_done(acme):
    new = work(pattern(), "novel", is_new=True)

    land(new)

    recovery, question = recovery_of(new), question_of(new)
    assert question.shown == {
        "recovery": recovery.id,
        "title": recovery.title,
        "rationale": recovery.rationale,
        "kind": "pre_check",
        "params": recovery.params,
        "source": "heuristic",
        "confidence": 0.50,
        "incident": "OperationalError in sql_query: no such column: custmer_id",
        "tool": "sql_query",
        "pattern": "OperationalError in sql_query",
        "band": "novel",
    }
    assert question.trace_id == new.trace_id
    assert question.requested_by == "system:loop"


def test_a_strong_match_of_a_frequent_failure_needs_no_confirmation_but_is_asked_about(acme):
    known = pattern()
    works = [work(known) for _ in range(3)]

    outcomes = land(*works)

    assert {outcome.failure_state for outcome in outcomes} == {
        FailureState.HUMAN_CHECKPOINT_PENDING
    }
    assert {recovery_of(each).confidence for each in works} == {0.90}


def test_ten_incidents_at_once_wait_for_ten_checkpoints(acme):
    known = pattern()
    works = [work(known) for _ in range(10)]

    outcomes = land(*works)

    assert len({outcome.waits_for for outcome in outcomes}) == 10
    assert Checkpoint.objects.filter(state="pending").count() == 10


def test_landing_again_finds_the_recovery_and_its_question(acme):
    new = work(pattern(), "novel", is_new=True)
    (first,) = land(new)

    (again,) = land(new)

    assert again == first
    assert Recovery.objects.count() == 1
    assert Checkpoint.objects.count() == 1


def test_a_question_that_was_made_void_is_asked_anew(acme, rita):
    new = work(pattern(), "novel", is_new=True)
    (first,) = land(new)
    checkpoints.withdraw(recovery_of(new).id, actor=rita, reason="The pattern was renamed.")

    (again,) = land(new)

    assert isinstance(again, Wait)
    assert again.waits_for != first.waits_for


def test_a_template_is_preferred_and_worth_what_its_author_declared(acme, rita):
    known = pattern()
    made = template(known, rita, declared_confidence=0.8)
    each = work(known)

    land(each)

    recovery = recovery_of(each)
    assert (recovery.source, recovery.template_id) == ("template", made.id)
    assert (recovery.kind, recovery.params, recovery.confidence) == ("retry_policy", RETRY, 0.8)


def test_a_disabled_template_is_not_suggested(acme, rita):
    known = pattern()
    services.disable_template(template(known, rita), actor=rita, reason="It made things worse.")
    each = work(known)

    land(each)

    assert recovery_of(each).source == "heuristic"


def test_a_templates_own_results_replace_what_was_declared(acme, rita):
    """Given ten applications two days ago of which five came back within a day, then Wilson's bound of 5/10."""
    known = pattern()
    made = template(known, rita)
    ago = timezone.now() - timedelta(days=2)
    for number in range(10):
        each = work(known, agent=f"agent {number}")
        land(each)
        if number == 0:  # the others join what is in force by then
            services.apply(recovery_of(each), actor=rita)
        Recovery.objects.filter(pk=recovery_of(each).pk).update(applied_at=ago, created_at=ago)
        if number < 5:
            again = work(known, agent=f"agent {number}")
            land(again)
            Recovery.objects.filter(pk=recovery_of(again).pk).update(
                created_at=ago + timedelta(hours=1), applied_at=None
            )
    each = work(known, agent="agent 11")

    land(each)

    assert recovery_of(each).template_id == made.id
    # 0.2366 is Wilson's lower bound of 5 in 10; a person approved what is in force, so it is worth 0.70.
    assert recovery_of(each).confidence == 0.70
    Directive.objects.update(active=False)
    unapproved = work(known, agent="agent 12")
    land(unapproved)
    assert recovery_of(unapproved).confidence == pytest.approx(0.2366, abs=1e-4)


def test_a_recurrence_joins_what_a_person_approved_without_asking_again(acme, rita):
    known = pattern()
    first = applied(known, rita)
    again = work(known)

    (outcome,) = land(again)

    recovery = recovery_of(again)
    assert isinstance(outcome, GoOn)
    assert outcome.facts == {"recovery_id": recovery.id, "recovery_state": "applied"}
    assert [told.type for told in outcome.events] == ["recovery_applied"]
    assert outcome.events[0].details["joined"] is True
    assert recovery.directive_id == recovery_of(first).directive_id
    assert recovery.automatic
    assert recovery.applied_at is not None
    assert recovery.result["joined"] is True
    assert Directive.objects.count() == 1


def test_a_weak_match_needs_a_person_though_the_directive_is_in_force(acme, rita):
    known = pattern()
    applied(known, rita)
    weak = work(known, "weak")

    (outcome,) = land(weak)

    assert isinstance(outcome, Wait)
    assert outcome.failure_state == FailureState.RECOVERY_NEEDS_CONFIRMATION


def test_another_tool_of_the_same_pattern_asks_for_itself(acme, rita):
    known = pattern()
    applied(known, rita)
    elsewhere = work(known, tool="run_report")

    (outcome,) = land(elsewhere)

    assert isinstance(outcome, Wait)


def test_a_cap_that_was_approved_holds_for_calls_of_another_size(acme, rita):
    known = pattern(template="too many tokens", error_type="ContextLengthExceeded")
    applied(
        known,
        rita,
        message="too many tokens",
        category="token_limit",
        arguments={"max_tokens": 9_000},
    )
    larger = work(
        known, message="too many tokens", category="token_limit", arguments={"max_tokens": 50_000}
    )

    (outcome,) = land(larger)

    assert isinstance(outcome, GoOn)
    assert recovery_of(larger).params == {"parameter": "max_tokens", "max": 4_500}


def test_an_expired_directive_is_not_in_force(acme, rita):
    known = pattern(template="401 unauthorized", error_type="AuthError")
    applied(known, rita, message="401 unauthorized", error_type="AuthError")
    assert Directive.objects.get().expires_at is not None
    Directive.objects.update(expires_at=timezone.now() - timedelta(hours=1))
    again = work(known, message="401 unauthorized", error_type="AuthError")

    (outcome,) = land(again)

    assert isinstance(outcome, Wait)
    assert services.directives_for("sql_query") == []
    approve(again, rita)
    land(again)
    assert Directive.objects.filter(active=True, expires_at__gt=timezone.now()).count() == 1


@pytest.mark.parametrize(
    ("declared", "band", "allowed", "applies"),
    [
        (0.95, "strong", True, True),
        (0.90, "strong", True, False),
        (0.95, "weak", True, False),
        (0.95, "strong", False, False),
    ],
)
def test_a_recovery_applies_itself_only_where_everything_allows_it(
    acme, rita, declared, band, allowed, applies
):
    known = pattern(auto_apply_recovery=allowed)
    template(known, rita, declared_confidence=declared)
    works = [work(known, band) for _ in range(2)]

    outcomes = land(*works)

    assert [isinstance(outcome, GoOn) for outcome in outcomes] == [applies, applies]
    assert Directive.objects.count() == int(applies)
    assert all(recovery_of(each).automatic is applies for each in works)


def test_without_questions_a_recovery_is_applied_as_if_nobody_minded(acme):
    Settings.objects.update(checkpoints_off=["approve_recovery"])
    new = work(pattern(), "novel", is_new=True)

    (outcome,) = land(new)

    assert isinstance(outcome, GoOn)
    assert not Checkpoint.objects.exists()
    recovery = recovery_of(new)
    assert recovery.automatic
    assert recovery.directive is not None
    assert recovery.directive.approved_by == "system:loop"
    assert recovery.confidence == 0.50


def test_an_advisory_question_stays_open_while_the_loop_goes_on(acme):
    Settings.objects.update(checkpoints_advisory=["approve_recovery"])
    new = work(pattern(), "novel", is_new=True)

    (outcome,) = land(new)

    assert isinstance(outcome, GoOn)
    assert question_of(new).state == "pending"


def test_a_late_no_to_an_advisory_question_takes_it_back(acme, rita):
    Settings.objects.update(checkpoints_advisory=["approve_recovery"])
    new = work(pattern(), "novel", is_new=True)
    land(new)
    question = question_of(new)

    checkpoints.decide(question, approve=False, actor=rita, digest=question.digest, reason="No.")

    assert recovery_of(new).state == "rolled_back"
    assert not Directive.objects.get().active


@pytest.mark.parametrize("from_template", [False, True])
def test_forty_recurrences_cost_as_many_queries_as_one(acme, rita, from_template):
    known = pattern()
    if from_template:
        template(known, rita)
    applied(known, rita)
    works = [work(known) for _ in range(40)]

    with CaptureQueriesContext(connection) as asked:
        outcomes = land(*works)

    assert all(isinstance(outcome, GoOn) for outcome in outcomes)
    assert len(asked) <= QUERIES_OF_A_BATCH, [query["sql"][:80] for query in asked]


def test_another_tenants_directive_is_not_joined(acme, umbra, rita):
    applied(pattern(), rita)
    leave_tenant()
    enter_tenant(umbra.id)

    (outcome,) = land(work(pattern()))

    assert isinstance(outcome, Wait)
    assert services.directives_for("sql_query") == []
