"""What sort of error a kind of failure is, where its words can tell."""

import pytest

from catalog.rules.taxonomy import UNKNOWN, taxonomy


@pytest.mark.parametrize(
    ("error_type", "template", "retryable"),
    [
        ("TimeoutError", "[Errno 110] Connection timed out", "yes"),
        ("HTTPError", "HTTP 429", "yes"),
        ("HTTPError", "503 Server Error: busy", "yes"),
        ("OperationalError", "database is locked", "yes"),
        ("MaxRetryError", "Max retries exceeded with url: <path>", "yes"),
        ("HTTPError", "401 Client Error: Unauthorized", "no"),
        ("HTTPError", "Page request resulted in HTTP 400", "no"),
        ("KeyError", "<str>", "no"),
        ("ToolError", "payment method <id> not found", "no"),
        ("ToolError", "gift card balance is not enough", "no"),
        ("", "child in error state <num>", "unknown"),
        ("ToolError", "nothing", "unknown"),
        ("", "release notes for version <num>", "unknown"),
    ],
)
def test_whether_the_same_call_may_succeed_later(error_type: str, template: str, retryable: str):
    assert taxonomy(error_type, template).retryable == retryable


@pytest.mark.parametrize(
    ("template", "mast"),
    [
        ("loop detected: search called with the same arguments", "MAST-3 Step repetition"),
        ("This model's maximum context length is <num>", "MAST-4 Loss of conversation history"),
        ("stopped: maximum number of turns reached", "MAST-5 Unaware of termination conditions"),
        ("the answer does not match the schema", "MAST-1 Disobedient to task specification"),
        ("payment method <id> not found", UNKNOWN),
    ],
)
def test_what_an_agent_did_wrong_where_words_tell(template: str, mast: str):
    assert taxonomy("ToolError", template).mast == mast


@pytest.mark.parametrize(
    ("template", "owasp"),
    [
        ("prompt injection found in <url>", "ASI01 Agent Goal Hijack"),
        ("unknown tool <str>", "ASI02 Tool Misuse & Exploitation"),
        ("permission denied for user <id>", "ASI03 Identity & Privilege Abuse"),
        ("checksum mismatch of <path>", "ASI04 Agentic Supply Chain Vulnerabilities"),
        ("sandbox violation in <path>", "ASI05 Unexpected Code Execution"),
        ("circuit breaker is open", "ASI08 Cascading Failures"),
        ("payment method <id> not found", UNKNOWN),
    ],
)
def test_which_risk_it_is_where_words_tell(template: str, owasp: str):
    assert taxonomy("ToolError", template).owasp == owasp
