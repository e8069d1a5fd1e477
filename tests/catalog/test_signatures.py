"""What was decided once stays decided; and a better signature loses no history."""

from __future__ import annotations

from threading import Thread

import pytest
from django.db import connection

from catalog.models import Pattern, PatternKey, PatternMatch, PatternSignature
from catalog.rules import SIGNATURE_VERSION, keys_of, signature
from catalog.rules.stream import Catalogue
from catalog.services import match_incident, match_incidents, renew_some
from catalog.tasks import renew_signatures
from governance.database.tenancy import tenant_scope
from governance.models import LedgerEntry, Tenant
from tests import factories

from .test_match import failure, failures

# Names in a sentence, words that say what happened, other tools, traces: all ways to be recognised.
STREAM = [
    ("sshd", "Failed password for root from 10.0.0.1 port 22"),
    ("sshd", "Failed password for alice from 10.0.0.2 port 22"),
    ("sshd", "Failed password for bob from 10.0.0.3 port 22"),
    ("sshd", "session opened for user root"),
    ("sshd", "session closed for user root"),
    ("su", "session closed for user root"),
    ("pay", "gift card balance is not enough"),
    ("book", "gift card balance is not enough"),
    ("book", "user=guest may not book"),
    ("book", "user=root may not book"),
    ("book", "Error in f\n    at pick (/a/b.js:1:2)\n    at book (/a/c.js:3:4)"),
    ("book", "Error in f\n    at pick (/a/b.js:9:2)\n    at book (/a/c.js:3:5)"),
    ("book", "Error in f\n    at drop (/a/b.js:9:2)\n    at book (/a/c.js:3:5)"),
]


@pytest.mark.parametrize("turned", [False, True])
@pytest.mark.parametrize("size", [1, 5, 13])
def test_the_database_decides_as_the_catalogue_in_memory(
    acme: Tenant, turned: bool, size: int
) -> None:
    stream = STREAM[::-1] if turned else STREAM
    memory = Catalogue()
    expected = [memory.place(signature("E", tool, message)) for tool, message in stream]

    incidents = [failure(message, tool=tool, error_type="E") for tool, message in stream]
    matches: dict[str, PatternMatch] = {}
    for at in range(0, len(incidents), size):
        matches |= match_incidents(incidents[at : at + size])

    found = [matches[each.id] for each in incidents]
    assert [each.band for each in found] == [str(each.band) for each in expected]
    assert [each.is_new for each in found] == [each.is_new for each in expected]
    assert [each.confidence for each in found] == [each.confidence for each in expected]
    told = dict(
        zip((each.pattern for each in expected), (m.pattern_id for m in found), strict=True)
    )
    assert [told[each.pattern] for each in expected] == [match.pattern_id for match in found]


@pytest.mark.parametrize("turned", [False, True])
def test_a_name_that_varies_becomes_a_value_of_the_template(acme: Tenant, turned: bool) -> None:
    users = ["root", "alice", "bob"][:: -1 if turned else 1]
    for user in users:
        match_incident(failure(f"Failed password for {user} from 10.0.0.1 port 22"))
    pattern = Pattern.objects.get()
    assert pattern.template == "Failed password for <val> from <ip> port <num>"
    assert LedgerEntry.objects.filter(kind="pattern.refined", subject=pattern.id).count() == 1
    # And who comes next is sure.
    assert match_incident(failure("Failed password for zoe from 10.0.0.1 port 22")).band == "strong"


def test_what_joined_by_likeness_is_known_the_next_time(
    acme: Tenant, django_assert_max_num_queries
) -> None:
    match_incident(failure("gift card balance is not enough", tool="pay"))
    first = match_incident(failure("gift card balance is not enough", tool="book"))
    again = failure("gift card balance is not enough", tool="book")
    with django_assert_max_num_queries(3):
        match = match_incident(again)
    assert (match.pattern_id, match.band, match.confidence) == (first.pattern_id, "weak", 0.8)
    assert (
        PatternSignature.objects.get(id=match.why["signature_id"]).incident_id == first.incident_id
    )


def test_where_a_failure_came_from_or_went_by_is_found_through_the_index(acme: Tenant) -> None:
    match_incident(failure("gift card balance is not enough"))
    pattern = Pattern.objects.get()
    kept = set(PatternKey.objects.values_list("key", flat=True))
    assert kept == set(keys_of(signature(pattern.error_type, pattern.tool, pattern.template)))


def outdate(version: int = SIGNATURE_VERSION - 1) -> None:
    """Pretend that all was signed before this version."""
    for each in PatternSignature.objects.all():
        PatternSignature.objects.filter(pk=each.pk).update(hash=each.hash[::-1], version=version)
    for pattern in Pattern.objects.all():
        Pattern.objects.filter(pk=pattern.pk).update(
            signature=pattern.signature[::-1], signature_version=version
        )
    PatternKey.objects.all().delete()


def test_what_was_signed_in_an_older_version_is_signed_again(acme: Tenant) -> None:
    first = match_incident(failure("flight HAT101 is full"))
    match_incident(failure("flight HAT101 is full", tool="book"))
    outdate()

    assert renew_some() == 2
    assert renew_some() == 0

    pattern = Pattern.objects.get()
    assert (pattern.signature_version, pattern.template) == (
        SIGNATURE_VERSION,
        "flight <id> is full",
    )
    assert (
        pattern.signature
        == signature("OperationalError", "sql_query", "flight HAT999 is full").hash
    )
    # The old ones stay, and say what became of them.
    assert PatternSignature.objects.exclude(successor="").count() == 2
    assert LedgerEntry.objects.filter(kind="pattern.signed_again", subject=pattern.id).exists()
    match = match_incident(failure("flight HAT77 is full"))
    assert (match.pattern_id, match.band) == (first.pattern_id, "strong")
    assert match_incident(failure("flight HAT77 is full", tool="book")).confidence == 0.8


def test_a_failure_that_comes_before_the_clock_is_still_known(acme: Tenant) -> None:
    first = match_incident(failure("flight HAT101 is full"))
    outdate()
    assert match_incident(failure("flight HAT77 is full")).pattern_id == first.pattern_id


def test_what_a_person_taught_stays_taught(acme: Tenant) -> None:
    one = match_incident(failure("flight HAT101 is full")).pattern
    other = match_incident(failure("no such flight")).pattern
    PatternSignature.objects.filter(pattern=other).update(pattern=one, is_taught=True)
    outdate()
    renew_some()
    assert match_incident(failure("no such flight")).pattern_id == one.id
    assert PatternSignature.objects.filter(version=SIGNATURE_VERSION, is_taught=True).count() == 1


def test_two_patterns_that_are_signed_alike_now_keep_what_they_have(acme: Tenant) -> None:
    one = match_incident(failure("flight HAT101 is full"))
    two = match_incident(failure("no such flight"))
    # In the old version the second was of another kind; in the new one its text is that of the first.
    PatternSignature.objects.filter(pattern=two.pattern).update(incident=one.incident_id)
    outdate()
    assert renew_some() == 2
    assert {each.id for each in Pattern.objects.all()} == {one.pattern_id, two.pattern_id}
    assert match_incident(failure("flight HAT333 is full")).pattern_id == one.pattern_id
    assert PatternMatch.objects.filter(pattern=two.pattern).count() == 1


@pytest.mark.django_db
def test_the_clock_signs_for_every_tenant() -> None:
    for name in ("acme", "umbra"):
        with tenant_scope(factories.tenant(name).id):
            match_incident(failure("flight HAT101 is full"))
            outdate()
    assert renew_signatures() == 2


@pytest.mark.django_db(transaction=True)
def test_eight_workers_that_report_a_new_failure_again_and_again_make_one_pattern() -> None:
    tenant = factories.tenant("acme")
    with tenant_scope(tenant.id):
        told = [failures([f"flight HAT{n}00 is full"] * 10) for n in range(8)]

    def run(number: int) -> None:
        try:
            for incident in told[number]:
                with tenant_scope(tenant.id):
                    match_incident(incident)
        finally:
            connection.close()

    threads = [Thread(target=run, args=(number,)) for number in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    with tenant_scope(tenant.id):
        assert (Pattern.objects.count(), PatternMatch.objects.count()) == (1, 80)
        assert PatternSignature.objects.count() == 1
