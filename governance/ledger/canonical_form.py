"""The one byte form of a JSON value (RFC 8785).

The library writes it piece by piece in Python, too slowly for the loop, of which each round is an entry.
Nearly all of what entries hold comes out of orjson as the very same bytes; what might not is left to the library.
"""

from __future__ import annotations

from typing import Any

import orjson
import rfc8785

# Whole numbers beyond are no numbers of JavaScript, whose form RFC 8785 takes over; the library refuses them.
_LARGEST_WHOLE = 2**53 - 1
# Python and JavaScript both write fractions between these without an exponent.
_LEAST, _MOST = 1e-4, 1e16


class NoCanonicalForm(ValueError):
    """A value that RFC 8785 has no form for: a lone surrogate, a number JavaScript cannot hold, no JSON at all."""


def write(value: Any) -> bytes:
    """The bytes of a JSON value. Raises NoCanonicalForm."""
    if _is_plain(value):
        try:
            return orjson.dumps(value, option=orjson.OPT_SORT_KEYS)
        except orjson.JSONEncodeError:
            pass  # too deep for it, or a lone surrogate: the library knows
    try:
        return rfc8785.dumps(value)
    except (rfc8785.CanonicalizationError, UnicodeEncodeError) as error:
        raise NoCanonicalForm(str(error)) from error


def _is_plain(value: Any) -> bool:
    """Whether orjson writes the canonical bytes. It sorts by code points, RFC 8785 by UTF-16: alike in ASCII."""
    if isinstance(value, str) or value is None:
        return True
    if isinstance(value, dict):
        # Every entry comes by, and holds texts mostly: a loop that asks no function about them takes a third of the time.
        for name, each in value.items():
            if not isinstance(name, str) or not name.isascii():
                return False
            if not isinstance(each, str) and not _is_plain(each):
                return False
        return True
    if isinstance(value, list):
        return all(map(_is_plain, value))
    if isinstance(value, int):  # true and false too
        return -_LARGEST_WHOLE <= value <= _LARGEST_WHOLE
    if isinstance(value, float):
        return _LEAST <= abs(value) < _MOST and not value.is_integer()
    return False
