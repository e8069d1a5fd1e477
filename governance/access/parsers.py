"""One strict JSON parser for everything that comes from outside."""

from __future__ import annotations

import json
import math
from collections import Counter
from collections.abc import Mapping
from typing import IO, Any

import re2
from rest_framework import status
from rest_framework.exceptions import APIException, ParseError
from rest_framework.parsers import BaseParser

MOST_BYTES = 1_048_576
DEEPEST = 32
INT_LOW, INT_HIGH = -(2**63), 2**63 - 1
LONGEST_NUMBER = 400  # characters; Python refuses to turn longer digits into a number
# Alternatives that exclude each other: linear in the length of the text. An open string runs to the end.
_STRING = re2.compile(r'"(?s:[^"\\]|\\.)*"?')
_BRACKET = re2.compile(r"[\[\]{}]")


class TooLarge(APIException):
    """The body is over the limit."""

    status_code = status.HTTP_413_REQUEST_ENTITY_TOO_LARGE
    default_detail = f"The body is larger than {MOST_BYTES} bytes."
    default_code = "too_large"


class StrictJSONParser(BaseParser):
    """UTF-8 JSON of at most 1 MB and 32 levels, without NUL, lone surrogates, duplicate keys, NaN or big integers."""

    media_type = "application/json"

    def parse(
        self,
        stream: IO[Any],
        media_type: str | None = None,
        parser_context: Mapping[str, Any] | None = None,
    ) -> Any:
        body = stream.read(MOST_BYTES + 1)
        if len(body) > MOST_BYTES:
            raise TooLarge
        return parse(body)


def parse(body: bytes) -> Any:
    """The value of a JSON text; raises ParseError with the reason."""
    try:
        text = body.decode("utf-8")
    except UnicodeDecodeError as error:
        raise ParseError(f"The body is not UTF-8: byte {error.start}.") from error
    _check_depth(text)
    try:
        value = json.loads(
            text,
            object_pairs_hook=_object,
            parse_int=_integer,
            parse_float=_real,
            parse_constant=_constant,
        )
    except RecursionError as error:
        raise ParseError(f"The body is nested deeper than {DEEPEST} levels.") from error
    except ValueError as error:
        raise ParseError(f"The body is not JSON: {error}") from error
    _check_texts(value)
    return value


def _check_depth(text: str) -> None:
    """Count open brackets outside strings before anything recurses over them."""
    if text.count("[") + text.count("{") <= DEEPEST:
        return  # nearly always: so few cannot be too deep, wherever they stand
    depth = 0
    for bracket in _BRACKET.findall(_STRING.sub("", text)):
        depth += 1 if bracket in "[{" else -1
        if depth > DEEPEST:
            raise ParseError(f"The body is nested deeper than {DEEPEST} levels.")


def _object(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) != len(pairs):
        twice, _ = Counter(name for name, _ in pairs).most_common(1)[0]
        raise ParseError(f"The key {twice[:100]!r} stands twice in one object.")
    return found


def _integer(digits: str) -> int:
    if len(digits) <= 20 and INT_LOW <= (number := int(digits)) <= INT_HIGH:
        return number
    raise ParseError("An integer does not fit 64 bits.")


def _real(digits: str) -> float:
    if len(digits) > LONGEST_NUMBER or not math.isfinite(number := float(digits)):
        raise ParseError("A number is too large.")
    return number


def _constant(name: str) -> float:
    raise ParseError(f"{name} is not JSON.")


def _check_texts(value: Any) -> None:
    if isinstance(value, str):
        if "\x00" in value:
            raise ParseError("A text contains NUL (\\u0000), which cannot be stored.")
        if not value.isascii() and any("\ud800" <= character <= "\udfff" for character in value):
            raise ParseError("A text contains a lone surrogate, which is not a character.")
    elif isinstance(value, dict):
        for key, item in value.items():
            _check_texts(key)
            _check_texts(item)
    elif isinstance(value, list):
        for item in value:
            _check_texts(item)
