"""From the text of a failure to its template: the values masked, each by a placeholder of its kind.

One pass over at most HEAD_WORDS + TAIL_WORDS words: quotations first, because they hold blanks; then word by word; then
what takes more than one word to see (a date in words, the name after "user", a code that must stay).
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import re2

from .lexicon import CALENDAR, CODES, FUNCTION, NAMED, PREPOSITIONS, SLOTS, is_word
from .words import masked

__all__ = ["HEAD_WORDS", "MAX_WORD_CHARS", "TAIL_WORDS", "mask", "printable", "whole"]

# A message is cut in words, not characters, so that a longer id early in it does not move the cut.
# The tail is kept because a stack trace names its error in the last line.
HEAD_WORDS = 96
TAIL_WORDS = 32
MAX_WORD_CHARS = 256

LONGEST_CODE = 3

# A quoted text of this many words is taken for prose ("payment method not found"), not for a value.
PROSE_WORDS = 3

_DOUBLE = r'"(?:[^"\\]|\\.)*"'
# \B keeps the apostrophe of "can't" from opening a quotation.
_SINGLE = r"\B'(?:[^'\\]|\\.)*'\B"
_QUOTES: tuple[tuple[str, str], ...] = (
    # {"error": "not found"}: the key and the words are the message, only values inside them vary.
    ("pair", rf'"[A-Za-z_][\w.-]*"\s*:\s*{_DOUBLE}'),
    ("pair", r"\B'[A-Za-z_][\w.-]*'\s*:\s*'(?:[^'\\]|\\.)*'\B"),
    ("kept", r""""[A-Za-z_][\w.-]*"\s*:|\B'[A-Za-z_][\w.-]*'\s*:"""),
    ("given", rf"={_DOUBLE}|='(?:[^'\\]|\\.)*'"),
    ("quoted", rf"{_DOUBLE}|{_SINGLE}|`[^`\s]+`"),
)
_TREATMENTS = [treatment for treatment, _ in _QUOTES]
_QUOTED = re2.compile("|".join(f"({pattern})" for _, pattern in _QUOTES))
# An error that was wrapped is known by what wraps it: how it came to that varies with the day.
_CAUSE = re2.compile(r"\([Cc]aused by .*\)")
_TERMINAL_COLOUR = re2.compile(r"\x1b(?:\[[0-9;?]*[A-Za-z])?")

# NUL and the other control characters, but for ESC, which opens a colour code.
_CONTROLS = {code: " " for code in (*range(0x20), *range(0x7F, 0xA0)) if code != 0x1B}
_MARKS = ".,;:!?()[]{}<>\"'`=*#|-"


def mask(message: str) -> str:
    """Put a typed placeholder where a message holds a value; linear in its length.

    Any text is accepted: control characters count as blanks, lone surrogates become U+FFFD, and what lies between the
    first HEAD_WORDS and the last TAIL_WORDS words is left out, as is what a word has beyond MAX_WORD_CHARS.
    """
    text = " ".join(_cut(printable(message).split()))
    if "\x1b" in text:
        text = " ".join(_TERMINAL_COLOUR.sub("", text).split())
    if "aused by " in text:
        text = _CAUSE.sub("(caused by <cause>)", text)
    if '"' in text or "'" in text or "`" in text:
        text = _QUOTED.sub(_unquoted, text)
    return " ".join(_phrases(text.split(" ")))


def printable(text: str) -> str:
    """The text without control characters and half characters, such as a database can keep."""
    text = whole(text)
    return text if text.isprintable() else text.translate(_CONTROLS)


def whole(text: str) -> str:
    """The text with U+FFFD for each lone surrogate, which is half a character and no other program takes."""
    if text.isascii():
        return text
    # Through UTF-16, because that is where a lone surrogate is an error and a pair is a character.
    return text.encode("utf-16", "surrogatepass").decode("utf-16", "replace")


def _cut(words: list[str]) -> Iterable[str]:
    if len(words) > HEAD_WORDS + TAIL_WORDS:
        words = [*words[:HEAD_WORDS], "…", *words[-TAIL_WORDS:]]
    return (word[:MAX_WORD_CHARS] for word in words)


def _unquoted(match: Any) -> str:
    treatment, text = _TREATMENTS[match.lastindex - 1], str(match.group())
    match treatment:
        case "kept":
            return text
        case "given":
            return "=<str>"
        case "pair":
            quote = text[-1]
            value_at = text.index(quote, text.index(":")) + 1
            return f"{text[:value_at]}{_QUOTED.sub(_unquoted, text[value_at:-1])}{quote}"
    is_prose = text.count(" ") >= PROSE_WORDS - 1
    return f"{text[0]}{_QUOTED.sub(_unquoted, text[1:-1])}{text[-1]}" if is_prose else "<str>"


def _phrases(words: list[str]) -> list[str]:
    """The words masked, with what is a value only beside its neighbours."""
    made: list[str] = []
    before = ""  # the word before, bare and in lower case
    in_date = False
    for position, word in enumerate(words):
        said = masked(word)
        bare = word.strip(_MARKS).lower()
        in_date = in_date and _is_of_date(said, bare)
        if in_date:
            continue
        follows = words[position + 1] if position + 1 < len(words) else ""
        if bare in CALENDAR and _dates(follows):
            in_date = True
            said = "<time>"
        elif said != word:
            if _is_code(before, bare, follows):
                said = word
        elif before and _is_named(before, word, bare, follows, made[-1]):
            head, _, tail = word.partition(word.strip(_MARKS))
            said = f"{head}<id>{tail}"
        if made and _continues_list(made[-1], said):
            made.pop()
        made.append(said)
        before = bare
    return made


_OPENING = "([{<"
_IN_DATES = frozenset({"num", "time", "date"})
_ZONES = frozenset(
    (
        "utc",
        "gmt",
        "est",
        "edt",
        "cst",
        "cdt",
        "mst",
        "mdt",
        "pst",
        "pdt",
        "cet",
        "cest",
        "bst",
        "am",
        "pm",
    )
)


def _is_of_date(said: str, bare: str) -> bool:
    """Whether a date in words goes on: "Sun Jul 10 03:55:15 2005", "3 PM"."""
    if said.startswith("<"):
        return said.strip(_MARKS) in _IN_DATES
    return bare in _ZONES or bare in CALENDAR


def _dates(follows: str) -> bool:
    """Whether a date goes on behind a weekday or a month: "may" alone is a verb."""
    bare = follows.strip(_MARKS)
    return bare.lower() in CALENDAR or bare[:1].isdigit()


def _is_code(before: str, bare: str, follows: str) -> bool:
    """Whether a number says what went wrong: "errno 110", "HTTP 429", "401 Client Error"."""
    if not bare.isdigit() or len(bare) > LONGEST_CODE:
        return False
    is_status = bare[0] in "45" and len(bare) == LONGEST_CODE
    return before in CODES or (is_status and follows.lower() in ("client", "server"))


def _is_named(before: str, word: str, bare: str, follows: str, last: str) -> bool:
    """Whether a word is the name of what the word before it says it is."""
    if last[-1:] in ".,;)]}" or not bare or "=" in word or word[0] in _OPENING:
        return False
    if last.endswith("="):  # "uid = root"
        return True
    if before in NAMED:
        # "user backup from": a noun is a name where the sentence does not go on with it ("user session expired").
        return not is_word(bare) or (
            bare not in FUNCTION
            and not bare.endswith(("ed", "ing"))
            and (not follows or follows[0] in _OPENING or follows in PREPOSITIONS)
        )
    return before in SLOTS and _is_identifier(word.strip(_MARKS))


def _is_identifier(text: str) -> bool:
    """Whether a word is written as no word of a sentence is: root_backup, a.b.C, workQueue, a/b."""
    inner = text[1:]
    return any(char in "_./$@\\" for char in inner) or (
        not inner.islower() and not inner.isupper() and inner.isalpha()
    )


def _continues_list(last: str, said: str) -> bool:
    """ "<id>, <id>, <id>" says no more than "<id>": how long a list was is a value too."""
    return last[:1] == "<" and last[-2:] == ">," and said.rstrip(",.;:)]}") == last[:-1]
