"""The documented context: typed, told under known keys, and never guessed."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from django.conf import settings
from rest_framework.test import APIClient

from config.conditions import page
from governance.models import Tenant
from policies import variables
from policies.conditions import VARIABLES, Answer, activation, compile_condition
from policies.services import ruleset
from tests import factories

from .guarding import ask, policy

TOLD = {
    "gen_ai.request.model": "large-2",
    "gen_ai.provider.name": "acme.models",
    "gen_ai.usage.input_tokens": 1200,
    "gen_ai.usage.output_tokens": 0,
    "gen_ai.request.max_tokens": 4096,
    "cost_usd": 1,
    "gen_ai.data_source.id": ["crm", "wiki"],
    "deployment.environment.name": "production",
}
SAYING = {
    "model.name": 'model.name == "large-2"',
    "model.provider": 'model.provider.startsWith("acme")',
    "tokens.input": "tokens.input > 1000",
    "tokens.output": "tokens.output == 0",
    "tokens.max_output": "tokens.max_output <= 4096",
    "cost.usd": "cost.usd >= 0.99",
    "data_sources": 'data_sources.exists(one, one == "wiki")',
    "environment": 'environment in ["production", "staging"]',
}
WRONG = {
    "gen_ai.request.model": 7,
    "gen_ai.provider.name": "x" * 201,
    "gen_ai.usage.input_tokens": -1,
    "gen_ai.usage.output_tokens": True,
    "gen_ai.request.max_tokens": "4096",
    "cost_usd": 1_000_001,
    "gen_ai.data_source.id": ["crm", 1],
    "deployment.environment.name": None,
}


@pytest.fixture(autouse=True)
def fresh() -> None:
    ruleset.forget()


def test_the_page_about_conditions_is_current() -> None:
    written = (settings.BASE_DIR / "docs" / "conditions.md").read_text()
    assert written == page(), "manage.py conditions --write"


def answer(condition: str, context: dict[str, Any]) -> Answer:
    facts = activation(
        action={"kind": "tool_call", "tool": "t"}, arguments={}, context=context, agent={"id": "a"}, run={"id": "r"}
    )  # fmt: skip
    return compile_condition(condition).matches(facts).answer


def test_every_variable_has_one_name_and_every_key_one_variable() -> None:
    assert len(VARIABLES) == len(variables.ALL)
    assert len({one.key for one in variables.TOLD}) == len(variables.TOLD)
    assert {one.key for one in variables.TOLD} == TOLD.keys() == WRONG.keys()
    assert {one.name for one in variables.TOLD} == SAYING.keys()


@pytest.mark.parametrize("name", SAYING)
def test_what_an_agent_tells_can_be_asked(name: str) -> None:
    assert answer(SAYING[name], TOLD) is Answer.YES


@pytest.mark.parametrize("name", SAYING)
def test_what_nobody_told_is_neither_true_nor_false(name: str) -> None:
    assert answer(SAYING[name], {}) is Answer.ERROR
    assert answer(f"!({SAYING[name]})", {}) is Answer.ERROR


@pytest.mark.parametrize("key", WRONG)
def test_a_value_of_the_wrong_type_tells_nothing(key: str) -> None:
    name = next(one.name for one in variables.TOLD if one.key == key)
    assert answer(SAYING[name], TOLD | {key: WRONG[key]}) is Answer.ERROR


def test_one_data_source_needs_no_list() -> None:
    assert answer('"crm" in data_sources', {"gen_ai.data_source.id": "crm"}) is Answer.YES


@pytest.mark.parametrize(
    ("failure_mode", "verdict"), [("fail_closed", "block"), ("fail_open", "allow")]
)
def test_a_name_that_is_missing_follows_the_failure_mode(
    acme: Tenant, failure_mode: str, verdict: str
) -> None:
    policy(condition='model.name == "large-2"', failure_mode=failure_mode)
    assert ask().verdict == verdict
    assert ask(context={"gen_ai.request.model": "small-1"}).verdict == "allow"
    assert ask(context={"gen_ai.request.model": "large-2"}).verdict == "block"


@pytest.mark.parametrize("key", WRONG)
@pytest.mark.parametrize("route", ["decisions", "simulate"])
def test_a_wrong_type_is_refused_and_named(
    acme: Tenant, api: Callable[..., APIClient], route: str, key: str
) -> None:
    token = factories.agent_token(acme)
    body = {
        "agent_id": "scout",
        "run_id": "r",
        "action": {"tool": "t"},
        "context": TOLD | {key: WRONG[key]},
    }
    refused = api(token).post(f"/api/v1/guard/{route}", body)
    assert refused.status_code == 400
    assert key in str(refused.json())
    assert api(token).post(f"/api/v1/guard/{route}", body | {"context": TOLD}).status_code == 200
