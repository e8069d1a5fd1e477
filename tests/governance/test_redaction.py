"""Sixty planted secrets travel through the product, and none comes out of it where it should not."""

from __future__ import annotations

import io
import json
import logging
import logging.config
import time
from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from rest_framework.test import APIClient

from governance import ledger, redaction
from governance.actors import LOOP
from governance.database.tenancy import leave_tenant, tenant_scope
from governance.models import LedgerEntry, Tenant
from recovery.llm import Question

from .planted import IN_ARGUMENTS, IN_MESSAGES, KEYS, SHAPES, leaked

Api = Callable[..., APIClient]


@pytest.mark.parametrize("number", range(20), ids=[name for name, _ in SHAPES])
def test_a_secret_is_known_by_its_looks(number: int) -> None:
    assert leaked(redaction.text(IN_MESSAGES[number])) == []


@pytest.mark.parametrize("key", KEYS)
def test_a_secret_is_known_by_its_name(key: str) -> None:
    assert redaction.masked({"deep": [{key: ["plain", {"a": "b"}]}]}) == {
        "deep": [{key: redaction.MASK}]
    }


FRAGMENTS = (
    *KEYS, "author", "token_count", "npm_install_it", "sk_learn", "sessionid", "csrftoken", "bearer", "Basic", "digest",
    "postgres", "https", "user", "eyJabcdef", "abcdef.ghi", "-----BEGIN RSA PRIVATE KEY-----", "AKIA", "abt_", "sk-", "ghp_", "xoxb-",
    "Zx9Qw7Er5Ty3Ui", "\u017fecret", "\u212aey", "\u00a0", "\u2003", "://", ":", "=", "==", "@", "/", " ", "    ", "\t", '"', "'", '""', "\\\\",
    '\\\\"', "]", ")", ",", ";", ".", "-", "_", "1",
)  # fmt: skip


@given(st.lists(st.sampled_from(FRAGMENTS), max_size=12).map("".join))
@example("pass\u017fword = Zx9Qw7Er5Ty3Ui")
def test_one_look_misses_nothing_that_would_be_masked(text: str) -> None:
    """RE2 says at once which texts hold no secret: it must never say so of one that does."""
    assert redaction.may_hold(text) or not any(each.search(text) for each in redaction._PATTERNS)


def test_what_cannot_be_looked_at_so_is_looked_at_slowly() -> None:
    assert redaction.may_hold("\ud800")
    assert leaked(redaction.text(f"\ud800 {IN_MESSAGES[0]}")) == []


@pytest.mark.parametrize(
    "value",
    [
        {
            "max_tokens": 4096,
            "tokens_used": 12,
            "has_password": True,
            "author": "ann",
            "keyboard": "de",
        },
        {
            "sql": "SELECT custmer_id FROM orders WHERE id = 1",
            "url": "https://example.org:8443/a?b=c",
        },
        {
            "note": "the token bucket is empty; npm_install_dependencies and sk_learn_predict",
            "monkey": "x",
            "secretary": "y",
            "key": "k",
            "n": None,
        },
    ],
)
def test_what_is_no_secret_is_left_as_it_is(value: dict[str, Any]) -> None:
    assert redaction.masked(value) == value


@pytest.mark.parametrize(
    "hostile",
    [
        "a",
        'token="',
        "bearer ",
        "a:",
        "http://",
        "-----BEGIN ",
        "eyJ",
        "passwd ",
        "sk-",
        "://:@",
        "'\"",
    ],
)
def test_masking_is_linear(hostile: str) -> None:
    began = time.process_time()
    redaction.text(hostile * (500_000 // len(hostile)))
    assert time.process_time() - began < 4.0


def test_a_log_holds_no_secret_in_its_lines_arguments_or_tracebacks(log: io.StringIO) -> None:
    logger = logging.getLogger("antibody.test")
    for message in IN_MESSAGES:
        logger.warning("it failed: %s", message)
        try:
            raise ValueError(message)  # noqa: TRY301 - its text is what the test is about
        except ValueError:
            logger.exception("it broke")
    assert "it broke" in log.getvalue()
    assert leaked(log.getvalue()) == []


def test_a_language_model_is_shown_no_secret() -> None:
    for message in IN_MESSAGES:
        asked = Question.of(message, message, message, "operational", IN_ARGUMENTS | {message: 1})
        assert (
            leaked(json.dumps([asked.error_type, asked.tool, asked.template, asked.arguments]))
            == []
        )


def test_the_cause_of_a_dead_step_is_told_without_its_secrets(acme: Tenant) -> None:
    ledger.append("loop.dead", "trc_x", actor=LOOP, cause=redaction.text(IN_MESSAGES[3]))
    leave_tenant()
    with tenant_scope(acme.id):
        assert leaked(bytes(LedgerEntry.objects.latest("created_at").body).decode()) == []
