"""The API describes itself: valid OpenAPI 3.1, without a token, and docs that need no network."""

from __future__ import annotations

import json
import re
from typing import Any

import pytest
from django.test import Client
from drf_spectacular.drainage import GENERATOR_STATS
from openapi_spec_validator import OpenAPIV31SpecValidator
from servestatic import ServeStatic

from config import described
from config.statics import with_static


@pytest.fixture
def schema(client: Client) -> dict[str, Any]:
    GENERATOR_STATS.reset()
    described.description.cache_clear()
    described._written.clear()
    answer = client.get("/api/schema/", headers={"Accept": "application/vnd.oai.openapi+json"})
    assert answer.status_code == 200
    found: dict[str, Any] = json.loads(answer.content)
    return found


def test_the_description_is_valid_and_complete(db: None, schema: dict[str, Any]) -> None:
    assert schema["openapi"].startswith("3.1")
    OpenAPIV31SpecValidator(schema).validate()
    assert not GENERATOR_STATS


def test_it_is_made_once_for_everybody(db: None, schema: dict[str, Any], client: Client) -> None:
    made = described.description.cache_info().misses
    for form in ("application/vnd.oai.openapi+json", "application/yaml", "application/json"):
        answer = client.get("/api/schema/?lang=de&version=9", headers={"Accept": form})
        assert (answer.status_code, answer["Content-Type"]) == (200, form)
    assert described.description.cache_info().misses == made


def test_the_contract_is_in_it(db: None, schema: dict[str, Any]) -> None:
    operations = {
        (method, re.sub(r"\{\w+\}", "{}", path.rstrip("/")).removeprefix("/api/v1/"))
        for path, methods in schema["paths"].items()
        for method in methods
    }
    wanted = {
        "post": [
            "guard/decisions",
            "guard/outcomes",
            "guard/simulate",
            "guard/decisions/{}/appeal",
            "incidents",
            "integration/loop/{}/retry/{}",
            "integration/loop/{}/revert",
            "integration/graduation/re-evaluate",
            "integration/graduation/simulate/prevention",
            "integration/graduation/simulate/regret",
            "integration/graduation/simulate/timeline-view",
            "checkpoints/{}/approve",
            "checkpoints/{}/reject",
            "recoveries/{}/apply",
            "recoveries/{}/reject",
            "recoveries/{}/roll-back",
            "policies",
            *(
                f"policies/{{}}/{verb}"
                for verb in ("submit", "confirm", "activate", "suspend", "retire", "regret")
            ),
        ],
        "get": [
            "incidents",
            "incidents/{}",
            "integration/loop/{}",
            "integration/loop/{}/stages",
            "integration/stats",
            "integration/timeline/{}",
            "integration/graduation",
            *(
                f"{name}{detail}"
                for name in (
                    "checkpoints",
                    "patterns",
                    "recoveries",
                    "policies",
                    "preventions",
                    "regrets",
                    "adjustments",
                    "agents",
                )
                for detail in ("", "/{}")
            ),
            "ops/switches",
        ],
        "patch": ["ops/switches"],
    }
    missing = {(method, path) for method, paths in wanted.items() for path in paths} - operations
    assert not missing


def test_every_operation_says_who_may_call_it(db: None, schema: dict[str, Any]) -> None:
    for path, methods in schema["paths"].items():
        for method, operation in methods.items():
            assert "May be called by" in operation["description"], f"{method} {path}"
            assert "default" in operation["responses"]


def test_the_docs_need_no_network(db: None, client: Client) -> None:
    page = client.get("/api/docs/")
    assert page.status_code == 200
    addresses = re.findall(r'(?:src|href)="([^"]+)"', page.content.decode())
    assert addresses
    assert all(address.startswith("/") for address in addresses)
    site = with_static(ServeStatic, lambda environ, start: ["nothing here"])
    for address in addresses:
        assert address in site.files or client.get(address).status_code == 200, address
    assert "/static/console.css" in site.files
