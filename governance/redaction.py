"""What must not be shown, logged, exported or sent on: one redactor for all of it.

An agent's arguments are evidence and are kept as they were sent, because the guard judges by them; whatever leaves
that place goes through here. Two things are masked: the values of keys that are named for a secret, and texts that
look like one. Names are compared by their parts, so ``db_password`` and ``X-Api-Key`` are found and ``tokens_used``, a
number, is not touched. All expressions are linear in the length of the text; nearly every text holds no secret, and
one look by RE2 says so in a thirtieth of the time that they take.
"""

from __future__ import annotations

import logging
import re
from collections.abc import Mapping
from itertools import pairwise
from typing import Any

import re2

MASK = "[secret]"
LONGEST = 1_100_000  # characters that are looked at, more than a body; what follows is cut: nobody vouches for it
DEEPEST = 64

# Words that a name is made of when its value is a secret.
_NAMES = frozenset(
    {"password", "passwd", "passphrase", "pwd", "secret", "token", "authorization", "auth", "cookie", "cookies",
     "credential", "credentials", "apikey", "sessionid", "csrftoken", "bearer", "signature"}
)  # fmt: skip
_PAIRS = frozenset(
    {("api", "key"), ("access", "key"), ("private", "key"), ("secret", "key"), ("signing", "key"),
     ("encryption", "key"), ("routing", "key"), ("sentry", "key"), ("session", "id"), ("session", "key"), ("connection", "string"), ("pass", "phrase")}
)  # fmt: skip
_PART = re.compile(r"[A-Z]+(?![a-z])|[A-Z]?[a-z]+|[0-9]+")

# Possessive throughout: no expression goes back, so each is linear whatever the text is.
_NAMED = (
    r"(?:api|access|private|secret|signing|session|encryption)[-_ ]?(?:key|id)|passw(?:or)?d|passphrase|pwd|secret|"
    r"(?:routing|sentry)[-_ ]?key|token|authorization|auth|cookies?|credentials?|signature|connection[-_ ]?string"
)
_PATTERNS = tuple(
    re.compile(pattern, re.IGNORECASE)
    for pattern in (
        # A login in an address: the password goes, the rest tells what it was.
        r"(?P<keep>\b[a-z][a-z0-9+.-]{1,20}+://[^\s/:@?#\"']{0,200}+:)[^\s/@\"']{1,500}+(?=@)",
        # Schemes of HTTP's Authorization.
        r"(?P<keep>\b(?:bearer|basic|digest|negotiate|apikey)\s{1,4}+)[a-z0-9._~+/=:-]{6,5000}+",
        # Something named for a secret, and its value.
        # Quotes may be written twice, or behind backslashes, where a text holds JSON.
        (
            rf"(?P<keep>(?:{_NAMED})[\\\"'\])]{{0,4}}+\s{{0,4}}+[:=]{{1,3}}+\s{{0,4}}+)(?!\[secret\])(?:\\{{0,3}}+\"(?:\"(?=\w))?+[^\"]{{0,5000}}+\"{{0,2}}+|"
            r"\\{0,3}+'[^']{0,5000}+'?|[^\s\"',;&}]{1,5000}+)"
        ),
        # Cookies of ours.
        r"(?P<keep>\b(?:sessionid|csrftoken)=)[^\s;\"']{1,500}+",
        # Keys that say whose they are by how they begin; npm_install and sk_learn have no digit, keys do.
        r"(?P<keep>)\b(?:abt_|sk-|sk_|pk_|rk_|ghp_|gho_|ghs_|github_pat_|glpat-|xox[abpr]-|whsec_|AKIA|ASIA|AIza|ya29\.|hf_|npm_)(?=[a-z_/+=.-]{0,60}+[0-9])[a-z0-9_/+=.-]{8,500}+",
        # JSON Web Tokens and private keys.
        r"(?P<keep>)\beyJ[a-z0-9_-]{5,5000}+\.[a-z0-9_-]{2,5000}+(?:\.[a-z0-9_-]{0,5000}+)?",
        r"(?P<keep>)-----BEGIN [A-Z ]{0,40}?PRIVATE KEY-----[^-]{0,20000}+(?:-----END [A-Z ]{0,40}?PRIVATE KEY-----)?",
    )
)


# What every text has that one of them finds; RE2's blanks are ASCII's, so here a blank is anything but a letter.
_MAY_HOLD = re2.compile(
    rf"(?i)://|sessionid=|csrftoken=|(?:bearer|basic|digest|negotiate|apikey)[^a-z0-9]|(?:{_NAMED})[^a-z0-9:=]{{0,9}}[:=]|"
    r"abt_|sk-|sk_|pk_|rk_|ghp_|gho_|ghs_|github_pat_|glpat-|xox[abpr]-|whsec_|AKIA|ASIA|AIza|ya29\.|hf_|npm_|eyJ|-----BEGIN"
)


def may_hold(value: str) -> bool:
    """Whether a text could hold a secret; no is certain, yes is not."""
    try:
        return bool(_MAY_HOLD.search(value))
    except UnicodeEncodeError:  # lone surrogates, which RE2 cannot be shown
        return True


def is_sensitive(name: str) -> bool:
    """Whether a key is named for a secret: ``db_password``, ``X-Api-Key``, ``accessToken``."""
    parts = [part.lower() for part in _PART.findall(name[:200])]
    return any(part in _NAMES for part in parts) or any(pair in _PAIRS for pair in pairwise(parts))


def text(value: str) -> str:
    """A text without what looks like a secret."""
    if len(value) <= LONGEST and not may_hold(value):
        return value
    found = value[:LONGEST]
    for pattern in _PATTERNS:
        found = pattern.sub(rf"\g<keep>{MASK}", found)
    return found if len(value) <= LONGEST else f"{found}…"


def masked(value: Any, _depth: int = 0) -> Any:
    """A JSON value to show: secrets by name and by looks are masked, everything else is as it was."""
    if _depth > DEEPEST:
        return MASK
    match value:
        case str():
            return text(value)
        case Mapping():
            return {
                text(key) if isinstance(key, str) else key: _of_key(key, item, _depth)
                for key, item in value.items()
            }
        case list() | tuple():
            return [masked(item, _depth + 1) for item in value]
    return value


def texts(value: Any) -> Any:
    """A JSON value of our own, whose keys say what they mean: only texts that look like a secret are masked."""
    match value:
        case str():
            return text(value)
        case Mapping():
            return {key: texts(item) for key, item in value.items()}
        case list() | tuple():
            return [texts(item) for item in value]
    return value


def _of_key(key: Any, item: Any, depth: int) -> Any:
    # Numbers and truths under such a name are counts and switches: max_tokens, has_password.
    if (
        isinstance(key, str)
        and is_sensitive(key)
        and not isinstance(item, bool | int | float | None)
    ):
        return MASK
    return masked(item, depth + 1)


class RedactingFormatter(logging.Formatter):
    """A line of the log without secrets, its traceback included."""

    def format(self, record: logging.LogRecord) -> str:
        return text(super().format(record))
