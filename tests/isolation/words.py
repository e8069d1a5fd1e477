"""Canaries: words that nobody else would write, one for each text of a tenant, and how they are found again."""

from __future__ import annotations

import base64
import binascii
import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from itertools import product
from string import ascii_lowercase
from urllib.parse import unquote

LETTERS = 4
IDS = re.compile(r"\b[a-z]{3,4}_[0-9a-z]{26}\b")
BASE64 = re.compile(r"\b[A-Za-z0-9_-]{24,}={0,2}")


@dataclass
class Words:
    """The canaries of one tenant. Letters only: no escape, mask or signature changes them; short enough for any column.

    A text that is cut off still begins with the mark.
    """

    mark: str
    made: list[str] = field(default_factory=list)
    _rest: Iterator[tuple[str, ...]] = field(
        default_factory=lambda: product(ascii_lowercase, repeat=LETTERS)
    )

    def __call__(self, longest: int | None = None) -> str:
        """A word that was never used before."""
        word = (self.mark + "".join(next(self._rest)))[:longest]
        self.made.append(word)
        return word

    def found_in(self, text: str) -> set[str]:
        """The canaries, or beginnings of canaries, in a text, however their letters are written."""
        text = text.lower()
        if self.mark not in text:
            return set()
        return set(re.findall(rf"{self.mark}[a-z]{{0,{LETTERS}}}", text))


def ids_in(text: str) -> set[str]:
    """The ids of records in a text."""
    return set(IDS.findall(text))


def unwrapped(text: str) -> str:
    """A text together with what its addresses and cursors say when they are decoded."""
    decoded = [unquote(text)] if "%" in text else []
    decoded += [plain for token in set(BASE64.findall(text)) if (plain := _plain(token))]
    return "\n".join([text, *decoded])


def _plain(token: str) -> str:
    try:
        return base64.urlsafe_b64decode(token + "=" * (-len(token) % 4)).decode("ascii")
    except (binascii.Error, ValueError):
        return ""


def made_up_like(value: str) -> str:
    """A value of the same shape that belongs to nobody: an id, a cursor, a number or a word."""
    if IDS.fullmatch(value):
        return f"{value.partition('_')[0]}_{'0' * 20}madeup"
    if value.isdigit():
        return "9" * max(9, len(value))  # "9" itself is the number of somebody
    if (plain := _plain(value)) and IDS.fullmatch(plain):
        # At the same moment: a cursor is a place between one's own records, whoever was there.
        return cursor_at(f"{plain[:-6]}madeup")
    return ("madeup" * len(value))[: len(value)]


def cursor_at(record_id: str) -> str:
    """The cursor of a list's page that ends with this record."""
    return base64.urlsafe_b64encode(record_id.encode()).decode()


def without(text: str, values: Iterable[str]) -> str:
    """A text in which each of these values is the same word; numbers are left, they are everywhere."""
    for value in values:
        if not value.isdigit():
            text = text.replace(value, "VALUE")
    return text
