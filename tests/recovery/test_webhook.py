"""Webhooks: signed as Standard Webhooks says, repeated with the same id, and never to our own network."""

from __future__ import annotations

import json
import threading
import time
from dataclasses import replace
from ipaddress import ip_address

import pytest
from standardwebhooks.webhooks import Webhook, WebhookVerificationError

from catalog.models import Pattern
from catalog.services import rename
from governance.loop.bridges import Ask, GoOn, Stop, TryLater, Wait
from governance.models import FailureState, Settings
from governance.refusals import Invalid
from recovery import bridge, outside, services, webhooks
from recovery.addresses import AddressRefused, check_url, is_public
from recovery.models import OutsideCall

from .cast import land, pattern, recovery_of, say, server, work


@pytest.fixture(autouse=True)
def _loopback(settings):
    settings.WEBHOOK_PRIVATE_ADDRESSES = True


def announced(rita, url, **params):
    """A work whose webhook was approved and announced, and the announcement."""
    known = pattern()
    services.make_template(
        known,
        name="Tell the database's keeper",
        kind="webhook",
        params={"url": url, "event": "schema.changed", **params},
        declared_confidence=0.7,
        actor=rita,
    )
    each = work(known)
    assert isinstance(land(each)[0], Wait)
    services.apply(recovery_of(each), actor=rita)
    (outcome,) = land(each)
    assert isinstance(outcome, Ask)
    return each, outcome


def answered(each, announcement):
    """What the loop does next: ask, and land with the answer."""
    answer = bridge.ask(each, announcement.request)
    return land(replace(each, answer=answer))[0]


def test_an_approved_webhook_is_sent_signed_and_recorded(acme, rita):
    with server(lambda handler, _: say(handler, 200, b"thank you")) as (url, got):
        each, announcement = announced(rita, f"{url}/hook?x=1")
        intent = OutsideCall.objects.get(key=recovery_of(each).id)
        assert (intent.attempts, intent.answer) == (0, None)

        outcome = answered(each, announcement)

    recovery = recovery_of(each)
    assert isinstance(outcome, GoOn)
    assert [told.type for told in outcome.events] == ["recovery_applied"]
    assert recovery.state == "applied"
    assert recovery.result["status"] == 200
    assert recovery.result["answer"] == "thank you"
    (call,) = got
    assert call["path"] == "/hook?x=1"
    assert call["headers"]["webhook-id"] == recovery.id
    body = Webhook(webhooks.secret_of(acme.id)).verify(call["body"], call["headers"])
    assert body["type"] == "schema.changed"
    assert body["data"]["incident_id"] == each.incident_id
    assert "SELECT" not in call["body"].decode()


def test_a_tenant_cannot_sign_as_another(acme, umbra, rita):
    with server(lambda handler, _: say(handler, 200)) as (url, got):
        answered(*announced(rita, url))

    with pytest.raises(WebhookVerificationError):
        Webhook(webhooks.secret_of(umbra.id)).verify(got[0]["body"], got[0]["headers"])


def test_a_failing_receiver_is_tried_again_with_the_same_id_and_body(acme, rita):
    statuses = iter([503, 429, 200])
    with server(lambda handler, _: say(handler, next(statuses))) as (url, got):
        each, announcement = announced(rita, url)
        for number in range(2):
            with pytest.raises(TryLater):
                bridge.ask(each, announcement.request)
            # What the receiver was told must not change with what we learn meanwhile.
            rename(Pattern.objects.get(), f"Renamed {number}", actor=rita)
        outcome = answered(each, announcement)

    assert isinstance(outcome, GoOn)
    assert len({call["headers"]["webhook-id"] for call in got}) == 1
    assert len({call["body"] for call in got}) == 1
    assert OutsideCall.objects.get().attempts == 3


def test_an_answer_that_is_there_is_not_asked_for_again(acme, rita):
    with server(lambda handler, _: say(handler, 200)) as (url, got):
        each, announcement = announced(rita, url)
        first = bridge.ask(each, announcement.request)

        assert bridge.ask(each, announcement.request) == first
    assert len(got) == 1


@pytest.mark.parametrize("status", [302, 400, 404, 410])
def test_a_refusal_is_final(acme, rita, status):
    with server(lambda handler, _: say(handler, status, Location="http://127.0.0.1:1/")) as (
        url,
        got,
    ):
        outcome = answered(*announced(rita, url))

    assert isinstance(outcome, Stop)
    assert outcome.failure_state == FailureState.RECOVERY_REJECTED
    assert str(status) in outcome.headline
    assert len(got) == 1


def test_after_so_many_tries_it_is_called_failed(acme, rita):
    with server(lambda handler, _: say(handler, 500)) as (url, _):
        each, announcement = announced(rita, url, max_attempts=2)
        with pytest.raises(TryLater):
            bridge.ask(each, announcement.request)
        outcome = answered(each, announcement)

    assert isinstance(outcome, Stop)
    assert recovery_of(each).state == "failed"
    assert "2 tries" in recovery_of(each).result["failed"]


def test_a_failed_webhook_is_called_again_when_a_person_applies_it_again(acme, rita):
    statuses = iter([400, 200])
    with server(lambda handler, _: say(handler, next(statuses))) as (url, got):
        each, announcement = announced(rita, url)
        assert isinstance(answered(each, announcement), Stop)

        services.apply(recovery_of(each), actor=rita, reason="The receiver is repaired.")
        (again,) = land(each)
        assert isinstance(again, Ask)
        assert isinstance(answered(each, again), GoOn)

    assert len({call["headers"]["webhook-id"] for call in got}) == 1


def test_who_tries_the_failed_stage_again_calls_again(acme, rita):
    statuses = iter([400, 200])
    with server(lambda handler, _: say(handler, next(statuses))) as (url, _):
        each, announcement = announced(rita, url)
        answered(each, announcement)

        (again,) = land(each)

        assert isinstance(again, Ask)
        assert isinstance(answered(each, again), GoOn)


def test_a_receiver_that_drips_does_not_hold_the_worker(acme, rita):
    done = threading.Event()

    def drip(handler, _):
        handler.send_response(200)
        handler.end_headers()
        while not done.wait(0.02):
            try:
                handler.wfile.write(b".")
            except OSError:
                return

    with server(drip) as (url, _):
        each, announcement = announced(rita, url, timeout_ms=200)
        began = time.monotonic()
        with pytest.raises(TryLater, match="no answer within"):
            bridge.ask(each, announcement.request)
        took = time.monotonic() - began
        done.set()

    assert took < 2


def test_an_endless_answer_is_cut_off(acme, rita):
    with server(lambda handler, _: say(handler, 200, b"x" * (outside.MAX_ANSWER + 1))) as (url, _):
        outcome = answered(*announced(rita, url))

    assert isinstance(outcome, Stop)


def test_a_private_address_is_not_called(acme, rita, settings):
    with server(lambda handler, _: say(handler, 200)) as (url, got):
        each, announcement = announced(rita, url.replace("127.0.0.1", "localhost"))
        settings.WEBHOOK_PRIVATE_ADDRESSES = False
        outcome = answered(each, announcement)

    assert isinstance(outcome, Stop)
    assert "not public" in outcome.headline
    assert got == []


def test_without_questions_a_webhook_is_called_at_once(acme, rita):
    Settings.objects.update(checkpoints_off=["approve_recovery"])
    known = pattern()
    params = json.loads('{"url": "https://hooks.example.com/a"}')
    services.make_template(
        known, name="Tell", kind="webhook", params=params, declared_confidence=0.7, actor=rita
    )
    each = work(known)

    (outcome,) = land(each)

    assert isinstance(outcome, Ask)
    assert recovery_of(each).state == "approved"
    assert recovery_of(each).automatic


@pytest.mark.parametrize(
    "address",
    [
        "127.0.0.1",
        "10.1.2.3",
        "172.16.0.1",
        "192.168.1.1",
        "169.254.169.254",
        "100.64.0.1",
        "0.0.0.0",
        "224.0.0.1",
        "240.0.0.1",
        "255.255.255.255",
        "192.88.99.1",
        "::",
        "::1",
        "::127.0.0.1",
        "::ffff:169.254.169.254",
        "fe80::1",
        "fec0::1",
        "fd00::1",
        "ff02::1",
        "64:ff9b::a9fe:a9fe",
        "64:ff9b:1::1",
        "2002:a9fe:a9fe::1",
        "2001:0:5ef5:79fd::1",
        "2001:db8::1",
    ],
)
def test_addresses_that_are_never_called(address):
    assert not is_public(ip_address(address))


@pytest.mark.parametrize(
    "address", ["1.1.1.1", "93.184.216.34", "2606:4700:4700::1111", "::ffff:1.1.1.1"]
)
def test_addresses_that_may_be_called(address):
    assert is_public(ip_address(address))


@pytest.mark.parametrize(
    "url",
    [
        "ftp://hooks.example.com/",
        "file:///etc/passwd",
        "https://user:secret@hooks.example.com/",
        "https://hooks.example.com:0/",
        "https://hooks.example.com:99999/",
        "https://[::1/",
        "https:///nowhere",
    ],
)
def test_urls_that_are_never_called(url):
    with pytest.raises(AddressRefused):
        check_url(url)


def test_a_template_with_a_password_in_its_address_is_not_taken(acme, rita):
    with pytest.raises(Invalid, match="user or password"):
        services.make_template(
            pattern(),
            name="Tell",
            kind="webhook",
            params={"url": "https://me:secret@hooks.example.com/"},
            declared_confidence=0.7,
            actor=rita,
        )
