"""One strict JSON parser for everything that comes from outside."""

from __future__ import annotations

import json
import math
import re
from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import IO, Any

from rest_framework import status
from rest_framework.exceptions import APIException, ParseError
from rest_framework.parsers import BaseParser

from .wire import MOST_BYTES

DEEPEST = 32
INT_LOW, INT_HIGH = -(2**63), 2**63 - 1
LONGEST_NUMBER = 400  # characters; Python refuses to turn longer digits into a number
LONGEST_KEY_SHOWN = 100
# Possessive, so it never goes back and is linear. An open string runs to the end. (RE2's own ``sub`` is Python: it took
# 6.5 s for a megabyte of quotation marks, this takes 0.1.)
_STRING = re.compile(r'"(?:[^"\\]++|\\.)*+"?', re.DOTALL)
_BRACKET = re.compile(r"[\[\]{}]")


class TooLarge(APIException):
    """The body is over the limit."""

    status_code = status.HTTP_413_REQUEST_ENTITY_TOO_LARGE
    default_code = "too_large"

    def __init__(self, limit: int = MOST_BYTES) -> None:
        super().__init__(f"The body is larger than {limit} bytes.")
        self.members = {"limit": limit}


class Unreadable(ParseError):
    """The body is not JSON as we take it; ``field`` is the path of the value at fault, empty for the whole body."""

    def __init__(self, says: str, *, field: str = "", limit: int | None = None) -> None:
        super().__init__(f"{field}: {says}" if field else says)
        self.members: dict[str, Any] = {"errors": [{"field": field, "message": says}]}
        if limit is not None:
            self.members["limit"] = limit


class OtherEncoding(APIException):
    """The body is packed, or in letters other than UTF-8."""

    status_code = status.HTTP_415_UNSUPPORTED_MEDIA_TYPE
    default_code = "unsupported_encoding"


class StrictJSONParser(BaseParser):
    """UTF-8 JSON of at most 1 MB and 32 levels, without NUL, lone surrogates, duplicate keys, NaN or big integers."""

    media_type = "application/json"

    def parse(
        self,
        stream: IO[Any],
        media_type: str | None = None,
        parser_context: Mapping[str, Any] | None = None,
    ) -> Any:
        if parser_context is not None:
            _check_encoding(parser_context["request"].META)
        body = stream.read(MOST_BYTES + 1)
        if len(body) > MOST_BYTES:
            raise TooLarge
        return parse(body)


def _check_encoding(headers: Mapping[str, Any]) -> None:
    packed = headers.get("HTTP_CONTENT_ENCODING", "identity").strip().lower()
    if packed != "identity":
        raise OtherEncoding("Content-Encoding: only identity is taken, so send the body unpacked.")


def parse(body: bytes) -> Any:
    """The value of a JSON text; raises Unreadable, which names the value at fault and its limit."""
    try:
        text = body.decode("utf-8")
    except UnicodeDecodeError as error:
        raise Unreadable(f"The body is not UTF-8: byte {error.start}.") from error
    _check_depth(text)
    reading = _Reading()
    try:
        value = json.loads(
            text,
            object_pairs_hook=reading.object,
            parse_int=reading.integer,
            parse_float=reading.real,
            parse_constant=reading.constant,
        )
    except RecursionError as error:
        raise _too_deep() from error
    except ValueError as error:
        raise Unreadable(f"The body is not JSON: {error}") from error
    # What cannot be stored can only have been written as \u0000 or \ud800: the bytes were UTF-8, and a raw NUL no JSON.
    if reading.has_fault or "\\u" in text:
        for field, fault in _faults(value, ""):
            raise Unreadable(fault.says, field=field, limit=fault.limit)
    return value


def _check_depth(text: str) -> None:
    """Count open brackets outside strings before anything recurses over them."""
    if text.count("[") + text.count("{") <= DEEPEST:
        return  # nearly always: so few cannot be too deep, wherever they stand
    depth = 0
    for bracket in _BRACKET.finditer(_STRING.sub("", text)):
        depth += 1 if bracket[0] in "[{" else -1
        if depth > DEEPEST:
            raise _too_deep()


def _too_deep() -> Unreadable:
    return Unreadable(f"The body is nested deeper than {DEEPEST} levels.", limit=DEEPEST)


@dataclass(frozen=True, slots=True)
class _Fault:
    """Stands in a value's place until it is known where that is."""

    says: str
    limit: int | None = None


class _Reading:
    """One text being read: faults become part of the value, so that their path can be told."""

    def __init__(self) -> None:
        self.has_fault = False

    def _fault(self, says: str, limit: int | None = None) -> Any:
        self.has_fault = True
        return _Fault(says, limit)

    def object(self, pairs: list[tuple[str, Any]]) -> dict[str, Any]:
        found = dict(pairs)
        if len(found) != len(pairs):
            twice, _ = Counter(name for name, _ in pairs).most_common(1)[0]
            found[twice] = self._fault(
                f"The key {twice[:LONGEST_KEY_SHOWN]!r} stands twice in one object."
            )
        return found

    def integer(self, digits: str) -> Any:
        if len(digits) <= 20 and INT_LOW <= (number := int(digits)) <= INT_HIGH:
            return number
        return self._fault(
            f"An integer does not fit 64 bits: at most {INT_HIGH}, at least {INT_LOW}.", INT_HIGH
        )

    def real(self, digits: str) -> Any:
        if len(digits) > LONGEST_NUMBER:
            return self._fault(
                f"A number is too large to be read: at most {LONGEST_NUMBER} characters.",
                LONGEST_NUMBER,
            )
        if not math.isfinite(number := float(digits)):
            return self._fault("A number is too large: at most 1.7976931348623157e308.")
        return number

    def constant(self, name: str) -> Any:
        return self._fault(f"{name} is not JSON.")


def _faults(value: Any, path: str) -> Iterator[tuple[str, _Fault]]:
    """(path, fault) of everything in a value that we do not take; at most 32 levels, so recursion ends."""
    match value:
        case _Fault():
            yield path, value
        case str():
            if fault := _fault_of(value):
                yield path, fault
        case dict():
            for key, item in value.items():
                if fault := _fault_of(key):
                    yield path, _Fault(f"A key is no text that can be kept. {fault.says}")
                yield from _faults(item, f"{path}.{_shown(key)}" if path else _shown(key))
        case list():
            for place, item in enumerate(value):
                yield from _faults(item, f"{path}[{place}]")


def _shown(key: str) -> str:
    """A key as part of a path: a hostile one is cut short, and has no half characters."""
    return key[:LONGEST_KEY_SHOWN].encode("utf-8", "replace").decode()


def _fault_of(text: str) -> _Fault | None:
    if "\x00" in text:
        return _Fault("A text contains NUL (\\u0000), which cannot be stored.")
    if not text.isascii() and any("\ud800" <= character <= "\udfff" for character in text):
        return _Fault("A text contains a lone surrogate, which is not a character.")
    return None
