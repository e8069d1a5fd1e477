"""Templates: checked when written, one enabled for each pattern."""

from __future__ import annotations

from typing import Any

import pytest

from governance.models import LedgerEntry
from governance.refusals import Conflict, Invalid
from recovery import services

from .cast import pattern

GOOD: dict[str, Any] = {
    "name": "Look",
    "kind": "pre_check",
    "params": {"check": "Look."},
    "declared_confidence": 0.7,
}


def test_a_template_is_written_and_the_ledger_tells(acme, rita):
    made = services.make_template(pattern(), **GOOD, actor=rita)

    assert made.enabled
    assert LedgerEntry.objects.filter(subject=made.id, kind="recoverytemplate.made").exists()


@pytest.mark.parametrize(
    ("wrong", "field"),
    [
        ({"kind": "explode"}, "kind"),
        ({"params": {}}, "params.check"),
        ({"params": {"check": "Look.", "sudo": True}}, "params.sudo"),
        ({"declared_confidence": 0.96}, "declared_confidence"),
        ({"declared_confidence": -0.1}, "declared_confidence"),
        ({"declared_confidence": float("nan")}, "declared_confidence"),
    ],
)
def test_what_cannot_be_applied_is_not_taken(acme, rita, wrong, field):
    with pytest.raises(Invalid) as refused:
        services.make_template(pattern(), **{**GOOD, **wrong}, actor=rita)

    assert refused.value.extra["field"] == field


def test_a_second_template_waits_until_the_first_is_disabled(acme, rita):
    known = pattern()
    first = services.make_template(known, **GOOD, actor=rita)
    with pytest.raises(Conflict):
        services.make_template(known, **GOOD, actor=rita)

    services.disable_template(first, actor=rita, reason="A better one is at hand.")

    assert services.make_template(known, **GOOD, actor=rita).enabled


def test_a_template_is_disabled_once(acme, rita):
    made = services.make_template(pattern(), **GOOD, actor=rita)
    services.disable_template(made, actor=rita, reason="It is wrong.")

    with pytest.raises(Conflict):
        services.disable_template(made, actor=rita, reason="It is wrong.")
