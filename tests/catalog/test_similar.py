"""Which patterns are like one: by the index and the score that failures are matched by."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from catalog.models import Pattern
from catalog.rules.templates import MEANS, Part, parts_of
from catalog.rules.words import PLACEHOLDERS
from catalog.services import match_incidents, similar_to
from governance.database.tenancy import enter_tenant, leave_tenant, tenant_scope
from governance.models import Tenant

from .test_match import failure, failures


def test_the_most_like_come_first_with_what_agrees_and_what_does_not(acme: Tenant) -> None:
    match_incidents(
        [
            failure("session opened for user root", tool="sshd"),
            failure("session closed for user root", tool="sshd"),
            failure("session opened for user root", tool="cron", error_type="Other"),
            failure("gift card balance is not enough", tool="pay"),
        ]
    )
    opened = Pattern.objects.get(tool="sshd", template__contains="opened")
    found = similar_to(opened)
    nearest, kept_apart = found[:2]
    assert nearest.pattern.error_type == "Other"
    assert nearest.similarity == pytest.approx(0.44)
    assert nearest.agreed == "session opened for user"
    assert kept_apart.similarity < 0.05
    [difference] = kept_apart.differences
    assert (difference.kind, difference.here, difference.there) == (
        "word",
        ("opened",),
        ("closed",),
    )


def test_another_word_in_the_sentence_is_told(acme: Tenant) -> None:
    match_incidents(
        failures(
            [
                "the gift card balance of this customer is not enough to pay for the flight",
                "the gift card balance of this customer is not enough to pay for the hotel",
            ]
        )
    )
    first, second = Pattern.objects.order_by("id")
    [like] = similar_to(first)
    assert like.pattern == second
    [difference] = like.differences
    assert (difference.here, difference.there) == (("flight",), ("hotel",))


def test_it_asks_two_statements_and_sees_no_other_tenant(
    acme: Tenant, umbra: Tenant, django_assert_num_queries: Callable[[int], Any]
) -> None:
    messages = [f"the {word} is away from the shelf" for word in ("book", "card", "lamp")]
    leave_tenant()
    with tenant_scope(umbra.id):
        match_incidents(failures(messages))
    enter_tenant(acme.id)
    match_incidents(failures(messages))
    pattern = Pattern.objects.order_by("id")[0]
    with django_assert_num_queries(2):
        found = similar_to(pattern)
    assert [each.pattern.tenant_id for each in found] == [acme.id] * 2


def test_a_template_is_told_in_parts() -> None:
    assert parts_of("no <id> in <path>!") == [
        Part("no "),
        Part("<id>", "an identifier"),
        Part(" in "),
        Part("<path>", "a path"),
        Part("!"),
    ]
    assert parts_of("a <b> is no value") == [Part("a <b> is no value")]
    assert parts_of("") == []
    assert MEANS.keys() == PLACEHOLDERS
