"""What sort of error a kind of failure is, where its words can tell; unknown where they cannot.

MAST: Cemri et al., "Why Do Multi-Agent LLM Systems Fail?" (2025). ASI: OWASP Top 10 for Agentic Applications (2026).
Both classify what an agent did or what was done to it, and most errors say neither: unknown is the usual answer.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import Any

import re2

__all__ = ["UNKNOWN", "Retryable", "Taxonomy", "taxonomy"]

UNKNOWN = "unknown"


class Retryable(StrEnum):
    """Whether the same call may succeed later by itself."""

    YES = "yes"
    NO = "no"
    UNKNOWN = "unknown"


@dataclass(frozen=True, slots=True)
class Taxonomy:
    """Where a failure belongs: MAST and ASI by their codes and names, or unknown."""

    retryable: Retryable
    mast: str
    owasp: str


def _pattern(words: str) -> Any:
    """Alternatives, a line each, of whole words in any case."""
    return re2.compile(rf"(?i)\b(?:{'|'.join(words.splitlines())})\b")


_LATER = _pattern(
    r"""timed? ?-?out
deadline exceeded
temporar(?:y|ily)
try again
(?:http|status|code)\D{0,3}(?:408|425|429|500|502|503|504)
(?:408|425|429|500|502|503|504) (?:client|server) error
too many requests
rate.?limit(?:ed)?
throttl(?:ed|ing)
overloaded
unavailable
connection (?:reset|refused|aborted|closed|lost)
failed to establish a new connection
broken pipe
no route to host
went away
deadlock
is locked
lock wait
max retries exceeded
lease"""
)
# What was asked is wrong, forbidden or not there: asking again gets the same answer.
_NEVER = _pattern(
    r"""not found
no such
does not exist
unknown (?:column|table|tool|function|user)
not defined
has no attribute
no module named
not iterable
(?:un)?expected (?:indent|token|argument|keyword)
invalid
malformed
syntax error
denied
forbidden
unauthori[sz]ed
not (?:allowed|permitted|supported|enough|available)
insufficient
already exists
duplicate
out of (?:range|bounds)
does not add up
cannot be (?:used|found|null|parsed)
(?:http|status|code)\D{0,3}(?:400|401|403|404|405|409|410|413|422)
(?:400|401|403|404|405|409|410|413|422) client error
\w*(?:SyntaxError|NameError|TypeError|KeyError|IndexError|AttributeError|ValueError|ImportError|ModuleNotFoundError|AssertionError|IndentationError|FileNotFoundError|NotImplementedError)"""
)

_MAST = (
    (
        "MAST-3 Step repetition",
        _pattern(
            r"""(?:loop|repetition|repeated (?:action|call|step)s?) detected
same (?:action|call|step|tool) (?:again|repeated|\d+ times)
stuck in a loop
already (?:tried|attempted)"""
        ),
    ),
    (
        "MAST-4 Loss of conversation history",
        _pattern(
            r"""context (?:length|window)
(?:history|conversation) (?:was )?(?:truncated|lost|reset)
too many tokens
token limit
maximum context"""
        ),
    ),
    (
        "MAST-5 Unaware of termination conditions",
        _pattern(
            r"""max(?:imum)?\W(?:number of )?(?:turns|steps|iterations|rounds)
(?:turn|step|iteration|recursion) limit
did not terminate
never finished"""
        ),
    ),
    (
        "MAST-2 Disobedient to role specification",
        _pattern(r"""outside (?:of )?(?:its|the|your) role
not (?:allowed|permitted) (?:for|in) (?:this|its|the|your) role"""),
    ),
    (
        "MAST-1 Disobedient to task specification",
        _pattern(
            r"""(?:does not|did not|failed to) (?:match|follow|conform to) (?:the )?(?:schema|format|specification|instructions)
not valid against (?:the )?schema
(?:output|response) (?:is not|was not) valid json"""
        ),
    ),
    (
        "MAST-7 Failure to ask for clarification",
        _pattern(r"ambiguous (?:request|instruction|task)"),
    ),
)

_OWASP = (
    (
        "ASI01 Agent Goal Hijack",
        _pattern(
            r"""prompt injection
jail ?break(?:ing)?
ignore (?:all )?(?:previous|prior) instructions"""
        ),
    ),
    (
        "ASI05 Unexpected Code Execution",
        _pattern(
            r"""command injection
code injection
(?:arbitrary|remote) code execution
sandbox (?:violation|escape)
unsafe (?:eval|exec|deserialization)"""
        ),
    ),
    (
        "ASI04 Agentic Supply Chain Vulnerabilities",
        _pattern(
            r"""(?:checksum|signature|hash|digest) (?:mismatch|does not match|verification failed)
untrusted (?:package|plugin|server|source)
unverified (?:package|plugin|tool)"""
        ),
    ),
    (
        "ASI06 Memory & Context Poisoning",
        _pattern(r"""(?:memory|context|knowledge|retrieval) poison(?:ed|ing)
(?:memory|context) (?:was )?tampered"""),
    ),
    (
        "ASI07 Insecure Inter-Agent Communication",
        _pattern(
            r"""(?:agent|peer|message) (?:identity|signature) (?:could not be|was not|not) verified
untrusted agent
replayed message"""
        ),
    ),
    (
        "ASI08 Cascading Failures",
        _pattern(
            r"""circuit breaker
cascad(?:e|ed|ing)
retry storm
max retries exceeded
too many (?:failures|errors) downstream"""
        ),
    ),
    (
        "ASI03 Identity & Privilege Abuse",
        _pattern(
            r"""(?:permission|access) denied
unauthori[sz]ed
forbidden
authentication fail(?:ed|ure|ures)
insufficient (?:privileges?|permissions?|scope)
privilege escalation
(?:invalid|expired|missing) (?:token|credentials?|api key)
invalid api key"""
        ),
    ),
    (
        "ASI02 Tool Misuse & Exploitation",
        _pattern(
            r"""(?:no such|unknown|unregistered) (?:tool|function)
tool (?:is )?not (?:allowed|permitted|found)
(?:invalid|unexpected|missing) (?:required )?(?:tool )?(?:argument|parameter)s?
blocked by polic(?:y|ies)"""
        ),
    ),
)


def taxonomy(error_type: str, template: str) -> Taxonomy:
    """Where a failure of this type and masked message belongs. What may pass by itself is told before what may not."""
    said = f"{error_type} {template}"
    return Taxonomy(_retryable(said), _first(_MAST, said), _first(_OWASP, said))


def _retryable(said: str) -> Retryable:
    if _LATER.search(said):
        return Retryable.YES
    return Retryable.NO if _NEVER.search(said) else Retryable.UNKNOWN


def _first(table: tuple[tuple[str, Any], ...], said: str) -> str:
    return next((name for name, pattern in table if pattern.search(said)), UNKNOWN)
