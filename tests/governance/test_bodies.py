"""Serializers are shared by all requests, and what one of them says stays with it."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
from rest_framework.exceptions import ValidationError
from rest_framework.request import Request
from rest_framework.test import APIRequestFactory

from governance.access.bodies import validated
from governance.access.parsers import StrictJSONParser
from incidents.api.incidents import ReportSerializer

REPORT = {"agent_id": "scout", "error_type": "TimeoutError", "message": "no answer"}


def saying(body: Any) -> Request:
    return Request(APIRequestFactory().post("/", body, format="json"), parsers=[StrictJSONParser()])


def test_a_request_finds_nothing_of_the_one_before() -> None:
    first = validated(ReportSerializer, saying({**REPORT, "tool": "book", "context": {"a": 1}}))
    with pytest.raises(ValidationError):
        validated(ReportSerializer, saying({**REPORT, "severity": "?"}))
    second = validated(ReportSerializer, saying(REPORT))
    assert (first["tool"], first["context"]) == ("book", {"a": 1})
    assert second == {**REPORT, "tool": ""}


@pytest.mark.parametrize("body", [None, [], "text", 7])
def test_a_body_that_is_no_object_is_refused(body: Any) -> None:
    with pytest.raises(ValidationError):
        validated(ReportSerializer, saying(body))


def test_threads_read_what_they_were_sent() -> None:
    def read(number: int) -> bool:
        body = {**REPORT, "agent_id": f"agent {number}", "context": {"n": number}}
        said = validated(ReportSerializer, saying(body))
        return (said["agent_id"], said["context"]) == (f"agent {number}", {"n": number})

    with ThreadPoolExecutor(8) as pool:
        assert all(pool.map(read, range(400)))
