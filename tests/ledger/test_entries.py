"""An entry is kept as its canonical bytes, and a hash that anybody can make again."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable
from typing import Any

import pytest

from governance import ledger
from governance.actors import COMMAND
from governance.ledger.entries import said_at
from governance.ledger.erasure import private_of
from governance.models import LedgerEntry, Tenant
from tests.incidents.test_report import HOSTILE


@pytest.mark.parametrize("text", [*HOSTILE, "NUL \x00", '{"}\\', "\u2028"])
def test_an_entry_is_kept_byte_for_byte(acme: Tenant, text: str) -> None:
    facts: dict[str, Any] = {
        "said": text,
        "numbers": [1, 1.5, 1e21, -0.0],
        "é": None,
        text or "empty": True,
    }
    ledger.append_all([ledger.Entry("test.said", "sub_1", COMMAND, facts=facts)])

    kept = LedgerEntry.objects.get(kind="test.said")
    body = bytes(kept.body)
    assert body == ledger.canonical(
        {
            "id": kept.id,
            "tenant": acme.id,
            "kind": "test.said",
            "subject": "sub_1",
            "actor": str(COMMAND),
            "gesture": kept.gesture,
            "at": said_at(kept.created_at),
            "facts": facts,
            "private": None,
        }
    )
    assert json.loads(body)["facts"]["said"] == text
    assert bytes(kept.hash) == hashlib.sha256(body).digest()
    assert (kept.subject, kept.actor) == ("sub_1", str(COMMAND))


@pytest.mark.parametrize("text", [*HOSTILE, "NUL \x00", '{"}\\', "\u2028"])
def test_what_was_said_in_private_is_kept_byte_for_byte(acme: Tenant, text: str) -> None:
    ledger.append("test.said", "sub_1", actor=COMMAND, reason=text)
    said = private_of(LedgerEntry.objects.get(kind="test.said"))
    assert (said or {"reason": ""})["reason"] == text[: ledger.MAX_REASON]


def test_many_entries_are_kept_in_one_statement(
    acme: Tenant, django_assert_num_queries: Callable[[int], Any]
) -> None:
    entries = [ledger.Entry("test.many", f"sub_{n}", COMMAND) for n in range(3)]
    with django_assert_num_queries(1):
        ledger.append_all(entries)
    kept = LedgerEntry.objects.filter(kind="test.many").order_by("subject")
    assert [entry.subject for entry in kept] == ["sub_0", "sub_1", "sub_2"]


def test_without_entries_nothing_is_sent(
    acme: Tenant, django_assert_num_queries: Callable[[int], Any]
) -> None:
    with django_assert_num_queries(0):
        ledger.append_all([])
