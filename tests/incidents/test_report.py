"""Reporting a failure: once for each key, in words that arrive as they were sent."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest
from django.utils import timezone

from governance.models import Agent, LedgerEntry, LoopEvent, LoopStep, Tenant
from governance.refusals import Invalid
from incidents import services
from incidents.models import Incident
from incidents.rules import MOST_AHEAD, is_plausible
from tests import factories

HOSTILE = [
    "🦠👩‍🔬 emoji, joined and not",
    "\u202etxet desrever\u202c and \u05e9\u05dc\u05d5\u05dd",
    "<script>alert('x')</script><img src=x onerror=alert(1)>",
    "'; DROP TABLE incidents_incident; --",
    "{{ settings.SECRET_KEY }} {% debug %} %s %(tenant)s ${HOME}",
    "\x1b[2J\x07 bell and colours\r\n\ttab",
    "  blanks before and after  ",
    "",
]


def test_a_report_opens_an_incident_and_begins_its_loop(acme: Tenant) -> None:
    opened = factories.report("no such column: custmer_id")

    assert opened.is_new
    incident = Incident.objects.get()
    assert (incident.state, incident.agent.name) == ("open", "scout")
    assert (opened.trace.incident_id, opened.trace.generation) == (incident.id, 1)
    assert LoopStep.objects.get().state == "ready"
    event = LoopEvent.objects.get()
    assert (event.type, event.subject) == ("incident_created", incident.id)
    assert LedgerEntry.objects.filter(kind="incident.opened", subject=incident.id).count() == 1


def test_the_same_key_of_the_same_source_is_the_same_incident(acme: Tenant) -> None:
    first = factories.report("first", source="ci", source_key="7")
    again = factories.report("told otherwise", source="ci", source_key="7")
    other = factories.report("first", source="cron", source_key="7")

    assert (again.incident.id, again.trace.id, again.is_new) == (
        first.incident.id,
        first.trace.id,
        False,
    )
    assert again.incident.message == "first"
    assert other.is_new
    assert LoopStep.objects.count() == 2


def test_without_a_key_every_report_is_an_incident(acme: Tenant) -> None:
    assert factories.incident("once").id != factories.incident("once").id


@pytest.mark.parametrize("message", [*HOSTILE, "🦠" * 225_000], ids=[*map(repr, HOSTILE), "900 kB"])
def test_hostile_text_is_stored_as_it_came(acme: Tenant, message: str) -> None:
    made = factories.incident(message, context={message[:100]: [message]}, tool=message[:200])
    stored = Incident.objects.get(pk=made.pk)
    assert stored.message == message
    assert stored.context == {message[:100]: [message]}
    assert stored.tool == message[:200]


@pytest.mark.parametrize(
    ("context", "arguments"),
    [
        ({"arguments": {"q": 1}}, {"q": 1}),
        ({"arguments": '{"q": [1, "é"]}'}, {"q": [1, "é"]}),
        ({"arguments": "[1]"}, None),
        ({"arguments": "not JSON"}, None),
        ({"arguments": '{"q": NaN}'}, None),
        ({"arguments": '{"q": "\\u0000"}'}, None),
        ({"arguments": '{"q": "\\ud800"}'}, None),
        ({"arguments": '{"q": ' + "[" * 100_000}, None),
        ({"arguments": 7}, None),
        ({}, None),
        (None, None),
    ],
)
def test_arguments_are_found_in_the_context(acme: Tenant, context: Any, arguments: Any) -> None:
    incident = factories.incident("boom", arguments=None, context=context)
    assert Incident.objects.get(pk=incident.pk).arguments == arguments


def test_arguments_that_are_said_win(acme: Tenant) -> None:
    incident = factories.incident("boom", arguments={"said": 1}, context={"arguments": {"q": 1}})
    assert incident.arguments == {"said": 1}


def test_something_occurred_at_most_a_day_from_now() -> None:
    now = timezone.now()
    assert is_plausible(now - timedelta(days=9_999), now)
    assert is_plausible(now + MOST_AHEAD, now)
    assert not is_plausible(now + MOST_AHEAD + timedelta(seconds=1), now)


def test_an_incident_of_next_week_is_refused(acme: Tenant) -> None:
    with pytest.raises(Invalid) as refused:
        factories.report("boom", occurred_at=timezone.now() + timedelta(days=7))
    assert refused.value.extra == {"field": "occurred_at"}
    assert not Agent.objects.exists()


def test_newest_trace_is_that_of_the_last_generation(acme: Tenant) -> None:
    opened = factories.report("boom")
    assert services.newest_trace(opened.incident.id) == opened.trace
