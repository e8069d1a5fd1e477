"""A catalogue goes from one tenant into another as a file, and what it brought stays recognised."""

from __future__ import annotations

import hashlib
import json
import tracemalloc
from collections.abc import Callable
from copy import deepcopy
from io import BytesIO
from typing import Any

import pytest
import rfc8785

from catalog import services
from catalog.models import Pattern, PatternKey, PatternMatch, PatternSignature
from catalog.rules import SIGNATURE_VERSION, signature_of
from catalog.services import exporting, importing, match_incident, match_incidents, renewal
from governance.actors import COMMAND, Actor
from governance.database.inserts import insert
from governance.database.tenancy import leave_tenant, tenant_scope
from governance.models import LedgerEntry, Tenant
from governance.refusals import Conflict, Forbidden, Invalid
from tests import factories

from .test_match import failure

STREAM = [
    ("sshd", "Failed password for root from 10.0.0.1 port 22"),
    ("sshd", "Failed password for alice from 10.0.0.2 port 22"),
    ("sshd", "session opened for user root"),
    ("pay", "gift card balance is not enough"),
    ("book", "Error in f\n    at pick (/a/b.js:1:2)\n    at book (/a/c.js:3:4)"),
]
SECRET = "hunter2hunter2"


def exported() -> dict[str, Any]:
    file = BytesIO()
    services.export(file.write)
    found: dict[str, Any] = json.loads(file.getvalue())
    return found


@pytest.fixture
def file(acme: Tenant) -> dict[str, Any]:
    """Acme's catalogue, in a test that goes on in no tenant's scope."""
    match_incidents([failure(message, tool=tool, error_type="E") for tool, message in STREAM])
    found = exported()
    leave_tenant()
    return found


def sealed(file: dict[str, Any]) -> dict[str, Any]:
    """The file with a hash that fits, whatever was done to it."""
    content = rfc8785.dumps(file["content"])
    return {**file, "hash": hashlib.sha256(content).hexdigest()}


def taken(of: Tenant, file: dict[str, Any], rita: Actor) -> services.Plan:
    with tenant_scope(of.id):
        return services.import_catalog(file, actor=rita, reason="They failed before us.")


def test_the_file_is_canonical_and_its_hash_is_that_of_its_content(acme: Tenant) -> None:
    match_incidents([failure(message, tool=tool, error_type="E") for tool, message in STREAM])
    file = BytesIO()
    done = services.export(file.write)
    found = json.loads(file.getvalue())
    assert file.getvalue() == rfc8785.dumps(found)
    assert found["hash"] == hashlib.sha256(rfc8785.dumps(found["content"])).hexdigest() == done.hash
    assert (found["format"], found["version"]) == ("antibody-catalog", 1)
    assert done.patterns == len(found["content"]["patterns"]) == Pattern.objects.count() == 4
    assert done.signatures == PatternSignature.objects.count() == 5


def test_an_empty_catalogue_is_a_file_too(acme: Tenant, rita: Actor) -> None:
    found = exported()
    assert found["content"] == {"patterns": []}
    assert services.plan(found).new == ()


def test_what_is_imported_is_the_same_catalogue_and_a_second_time_brings_nothing(
    file: dict[str, Any], umbra: Tenant, rita: Actor
) -> None:
    done = taken(umbra, file, rita)
    assert (len(done.new), done.known, done.signatures, done.clashes) == (4, 0, 5, ())
    again = taken(umbra, file, rita)
    assert (len(again.new), again.unchanged, again.signatures, again.clashes) == (0, 4, 0, ())
    with tenant_scope(umbra.id):
        assert exported() == file
        assert not PatternMatch.objects.exists()
        assert not Pattern.objects.filter(auto_apply_recovery=True).exists()
        kinds = LedgerEntry.objects.values_list("kind", flat=True)
        assert sorted(kinds).count("pattern.imported") == 4
        assert list(kinds).count("catalog.imported") == 1


def test_a_failure_that_was_known_elsewhere_joins_strongly(
    file: dict[str, Any], umbra: Tenant, rita: Actor
) -> None:
    taken(umbra, file, rita)
    with tenant_scope(umbra.id):
        for tool, message in STREAM:
            told = message.replace("10.0.0", "10.9.9")
            match = match_incident(failure(told, tool=tool, error_type="E"))
            # What was weakly of its kind there is so here: nobody has become surer by a file.
            band = "weak" if "for alice" in message else "strong"
            assert (match.band, match.is_new, match.why["same_signature"]) == (band, False, True)
        # And one that is only much like it is found by the keys.
        like = failure("Failed password for zoe from 10.0.0.9 port 22", tool="sshd", error_type="E")
        assert not match_incident(like).is_new
        assert Pattern.objects.count() == 4


def test_it_stays_recognised_when_it_is_signed_again(
    file: dict[str, Any], umbra: Tenant, rita: Actor
) -> None:
    """As an older release wrote it: with hashes that nobody makes any more."""
    old = deepcopy(file)
    for at, pattern in enumerate(old["content"]["patterns"]):
        for place, each in enumerate(pattern["signatures"]):
            each |= {"hash": f"{at}{place}".ljust(64, "0"), "version": SIGNATURE_VERSION - 1}
        pattern |= {
            "signature": pattern["signatures"][0]["hash"],
            "signature_version": SIGNATURE_VERSION - 1,
        }
    taken(umbra, sealed(old), rita)
    with tenant_scope(umbra.id):
        assert renewal.renew_some() == 5
        assert renewal.renew_some() == 0
        # Signed from the template from now on: where it says a value, a name of the language is compared again.
        for tool, message in [("sshd", "Failed password for HAT12 from 10.0.0.1 port 22"), *STREAM]:
            match = match_incident(failure(message, tool=tool, error_type="E"))
            is_compared = "for root" in message
            assert (match.band, match.is_new) == ("weak" if is_compared else "strong", False)
        assert Pattern.objects.count() == 4


def test_what_is_known_here_stays_and_gains_what_is_new(
    file: dict[str, Any], umbra: Tenant, rita: Actor
) -> None:
    with tenant_scope(umbra.id):
        own = failure(
            "Failed password for alice from 10.0.0.2 port 22", tool="sshd", error_type="E"
        )
        pattern = match_incident(own).pattern
        services.rename(pattern, "Somebody guesses", actor=rita)
    done = taken(umbra, file, rita)
    assert (len(done.new), len(done.extended), done.unchanged, done.clashes) == (3, 1, 0, ())
    with tenant_scope(umbra.id):
        pattern = Pattern.objects.get(pk=pattern.id)
        assert pattern.name == "Somebody guesses"
        assert pattern.signatures.count() == 2
        root = failure(
            "Failed password for root from 10.1.1.1 port 22", tool="sshd", error_type="E"
        )
        assert match_incident(root).pattern == pattern


def test_a_signature_of_another_pattern_here_stays_and_is_told(
    file: dict[str, Any], umbra: Tenant, rita: Actor
) -> None:
    """There two are one kind, here a person keeps them apart."""
    joined = next(each for each in file["content"]["patterns"] if len(each["signatures"]) == 2)
    first, second = [each["hash"] for each in joined["signatures"]]
    with tenant_scope(umbra.id):
        kept = []
        for number, hash in enumerate((first, second)):
            kept.append(
                Pattern.objects.create(
                    name=f"mine {number}", error_type="E", signature=hash, signature_version=2
                )
            )
            PatternSignature.objects.create(
                pattern=kept[-1], hash=hash, version=2, confidence=1.0, is_taught=True
            )
    done = taken(umbra, file, rita)
    [clash] = done.clashes
    other = second if joined["signature"] == first else first
    assert (clash.hash, clash.there) == (other, joined["name"])
    assert clash.here in {each.id for each in kept}
    with tenant_scope(umbra.id):
        for pattern, hash in zip(kept, (first, second), strict=True):
            row = PatternSignature.objects.get(hash=hash)
            assert (row.pattern, row.is_taught) == (pattern, True)


def test_secrets_and_incidents_stay_at_home(acme: Tenant) -> None:
    message = f"login with password=guest and token: {SECRET} was refused for scout@acme.example"
    match_incident(failure(message, context={"note": "of acme alone"}))
    pattern = Pattern.objects.get()
    services.rename(pattern, f"api_key={SECRET} leaks", actor=COMMAND)
    Pattern.objects.update(template=f"authorization: Bearer {SECRET} was refused")
    text = json.dumps(exported())
    assert SECRET not in text
    assert "of acme alone" not in text
    assert "[secret]" in text


def changed(file: dict[str, Any], change: Callable[[dict[str, Any]], Any]) -> dict[str, Any]:
    copy = deepcopy(file)
    change(copy)
    return copy


def first_pattern(file: dict[str, Any]) -> dict[str, Any]:
    found: dict[str, Any] = file["content"]["patterns"][0]
    return found


def test_a_file_that_was_changed_is_refused(
    file: dict[str, Any], umbra: Tenant, rita: Actor
) -> None:
    for change in (
        lambda each: first_pattern(each).update(name="Another name"),
        lambda each: first_pattern(each)["signatures"][0].update(confidence=0.99),
        lambda each: each["content"]["patterns"].pop(),
        lambda each: each.update(hash="0" * 64),
    ):
        with pytest.raises(Invalid, match=r"catalog\.hash: it is not that of the content"):
            taken(umbra, changed(file, change), rita)
    with tenant_scope(umbra.id):
        assert not Pattern.objects.exists()


PLACE = "catalog.content.patterns[0]"


@pytest.mark.parametrize(
    ("change", "field"),
    [
        (lambda each: each.pop("version"), "catalog.version"),
        (lambda each: each.update(version=2), "catalog.version"),
        (lambda each: each.update(version=True), "catalog.version"),
        (lambda each: each.update(format="policies"), "catalog.format"),
        (lambda each: each.update(more=1), "catalog.more"),
        (lambda each: each.update(hash="x"), "catalog.hash"),
        (lambda each: each.update(content=[]), "catalog.content"),
        (lambda each: each["content"].update(patterns={}), "catalog.content.patterns"),
        (lambda each: each["content"].update(patterns=["x"]), PLACE),
        (lambda each: first_pattern(each).pop("tool"), f"{PLACE}.tool"),
        (lambda each: first_pattern(each).update(auto_apply=True), f"{PLACE}.auto_apply"),
        (lambda each: first_pattern(each).update(name="x" * 301), f"{PLACE}.name"),
        (lambda each: first_pattern(each).update(name=" "), f"{PLACE}.name"),
        (lambda each: first_pattern(each).update(name="a\x1fb"), f"{PLACE}.name"),
        (lambda each: first_pattern(each).update(template=7), f"{PLACE}.template"),
        (lambda each: first_pattern(each).update(frames=["x"] * 65), f"{PLACE}.frames"),
        (lambda each: first_pattern(each).update(frames=[1]), f"{PLACE}.frames[0]"),
        (lambda each: first_pattern(each).update(signature="A" * 64), f"{PLACE}.signature"),
        (
            lambda each: first_pattern(each).update(signature_version=SIGNATURE_VERSION + 1),
            f"{PLACE}.signature_version",
        ),
        (lambda each: first_pattern(each).update(strong_above=1.5), f"{PLACE}.strong_above"),
        (lambda each: first_pattern(each).update(weak_from=0.9), f"{PLACE}.weak_from"),
        (lambda each: first_pattern(each).update(weak_from="0.6"), f"{PLACE}.weak_from"),
        (
            lambda each: first_pattern(each).update(error_type="", template="", frames=[]),
            PLACE,
        ),
        (
            lambda each: first_pattern(each)["signatures"][0].update(is_taught=1),
            f"{PLACE}.signatures[0].is_taught",
        ),
        (
            lambda each: first_pattern(each)["signatures"].append(first_pattern(each)["signatures"][0]),
            f"{PLACE}.signatures",
        ),
        (
            lambda each: each["content"]["patterns"].append(first_pattern(each)),
            "catalog.content.patterns[4]",
        ),
    ],
)  # fmt: skip
def test_what_cannot_be_taken_is_named(
    file: dict[str, Any],
    umbra: Tenant,
    rita: Actor,
    change: Callable[[dict[str, Any]], Any],
    field: str,
) -> None:
    with pytest.raises(Invalid) as refused:
        taken(umbra, changed(file, change), rita)
    assert refused.value.extra["field"] == field
    assert str(refused.value).startswith(f"{field}: ")


def test_a_person_takes_it_over_and_says_why(
    file: dict[str, Any], umbra: Tenant, rita: Actor
) -> None:
    with tenant_scope(umbra.id):
        with pytest.raises(Forbidden):
            services.import_catalog(file, actor=factories.SCOUT, reason="why not")
        with pytest.raises(Invalid, match="Say why"):
            services.import_catalog(file, actor=rita, reason=" ")


def test_only_what_was_shown_is_done(file: dict[str, Any], umbra: Tenant, rita: Actor) -> None:
    with tenant_scope(umbra.id):
        shown = services.plan(file).digest
        tool, message = STREAM[3]
        match_incident(failure(message, tool=tool, error_type="E"))
        with pytest.raises(Conflict, match="not what was shown"):
            services.import_catalog(file, actor=rita, reason="why", shown=shown)
        shown = services.plan(file).digest
        services.import_catalog(file, actor=rita, reason="why", shown=shown)
        assert Pattern.objects.count() == 4


def many(count: int, start: int = 0) -> None:
    """So many patterns, as matching would have opened them."""
    made = [
        signature_of("E", "tool", f"the thing number word{number:05d} is away from its place")
        for number in range(start, start + count)
    ]
    patterns = [
        Pattern(
            name=each.template,
            error_type=each.error_type,
            tool=each.tool,
            template=each.template,
            signature=each.hash,
            signature_version=each.version,
        )
        for each in made
    ]
    insert(patterns)
    insert(
        PatternSignature(
            pattern=each, hash=each.signature, version=SIGNATURE_VERSION, confidence=1.0
        )
        for each in patterns
    )


def test_its_memory_and_its_pieces_do_not_grow_with_the_catalogue(
    acme: Tenant,
    monkeypatch: pytest.MonkeyPatch,
    django_assert_num_queries: Callable[[int], Any],
) -> None:
    monkeypatch.setattr(exporting, "BATCH", 50)
    peaks, total, longest = [], 0, 0

    def send(piece: bytes) -> None:
        nonlocal longest
        longest = max(longest, len(piece))

    for count in (150, 600):
        many(count, start=total)
        total += count
        # Two statements for a batch, and one that finds that there is no more.
        with django_assert_num_queries(2 * total // 50 + 1):
            done = services.export(send)
        assert done.patterns == done.signatures == total
        assert longest < 1_000
        # By itself: who counts statements keeps their texts.
        tracemalloc.start()
        services.export(send)
        peaks.append(tracemalloc.get_traced_memory()[1])
        tracemalloc.stop()
    few, many_more = peaks
    assert many_more < 1.5 * few


def test_a_large_file_is_imported_by_few_statements(
    acme: Tenant,
    umbra: Tenant,
    rita: Actor,
    monkeypatch: pytest.MonkeyPatch,
    django_assert_max_num_queries: Callable[[int], Any],
) -> None:
    many(600)
    file = exported()
    leave_tenant()
    monkeypatch.setattr(importing, "BATCH", 200)
    with tenant_scope(umbra.id):
        with django_assert_max_num_queries(25):
            services.import_catalog(file, actor=rita, reason="They failed before us.")
        assert Pattern.objects.count() == 600
        assert PatternKey.objects.values("pattern").distinct().count() == 600


def test_what_people_taught_goes_along(acme: Tenant, umbra: Tenant, rita: Actor) -> None:
    told = [factories.incident(f"order {70 + n}: shop {404 if n < 3 else 500}") for n in range(5)]
    matches = match_incidents(told)
    gone = factories.incident("no seats are left")
    seats, orders = match_incident(gone).pattern, matches[told[0].id].pattern
    why: dict[str, Any] = {"actor": rita, "reason": "I know this system."}
    services.split(orders, incidents=[each.id for each in told[3:]], name="The second shop", **why)
    services.merge(seats, into=orders, **why)
    file = exported()
    leave_tenant()

    brought = taken(umbra, sealed(file), rita)
    assert len(brought.new) == 3
    with tenant_scope(umbra.id):
        names = {
            message: match_incident(failure(message)).pattern.name
            for message in ("order 1: shop 500", "order 1: shop 404", "no seats are left")
        }
        assert names["order 1: shop 500"] == "The second shop"
        assert names["no seats are left"] == names["order 1: shop 404"] == orders.name
        assert Pattern.objects.roots().count() == 2


def test_a_word_that_does_not_make_its_hash_is_refused(acme: Tenant, rita: Actor) -> None:
    match_incident(factories.incident("no seats are left"))
    file = exported()
    file["content"]["patterns"][0]["signatures"][0].update(base="a" * 64, word="500")
    with pytest.raises(Invalid) as refused:
        services.plan(sealed(file))
    assert refused.value.extra["field"] == "catalog.content.patterns[0].signatures[0].word"
