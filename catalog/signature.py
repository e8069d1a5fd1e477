"""What stays the same when a failure happens again: its error type, its tool, and its message with the values masked."""

import hashlib
from collections.abc import Iterable
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

import re2

# Part of every hash: raise it whenever a change below would give an old message another template.
SIGNATURE_VERSION = 1

# A message is cut in words, not characters, so that a longer id early in it does not move the cut.
# The tail is kept because a stack trace names its error in the last line.
HEAD_WORDS = 96
TAIL_WORDS = 32
MAX_WORD_CHARS = 256
MAX_NAME_CHARS = 200
MAX_TOKENS = 512

# A quoted text of this many words is taken for prose ("payment method not found"), not for a value.
PROSE_WORDS = 3

_HEX = "[0-9a-fA-F]"
_FILE = (
    "py|ipynb|js|ts|txt|csv|tsv|jsonl?|ya?ml|xml|html?|pdf|docx?|xlsx?|pptx?|png|jpe?g|gif|svg|zip|tar|"
    "gz|tgz|log|md|sql|db|sqlite3?|parquet|ini|cfg|conf|toml|sh|cpp|java|go|rs|exe|dll|so|properties"
)
_UNIT = "ms|us|ns|s|secs?|min|h|hrs?|d|days?|k|K|M|G|[kKMGT]i?B|bytes|px|st|nd|rd|th|x"

# Numbers that say what went wrong stay: a 401 asks for another remedy than a 429.
_CODE = (
    r"(?i:\b(?:errno|status(?: code)?|http(?:/\d(?:\.\d)?)?|exit(?:ed with)?(?: code| status)?)"
    r"[ :=]{0,3}\d{1,3}\b|\b[45]\d\d (?:client|server) error\b)"
)
_DOUBLE = r'"(?:[^"\\]|\\.)*"'
# \B keeps the apostrophe of "can't" from opening a quotation.
_SINGLE = r"\B'(?:[^'\\]|\\.)*'\B"
_KEY = r""""[A-Za-z_][\w.-]*"\s*:|\B'[A-Za-z_][\w.-]*'\s*:"""
_CLOCK = r"\d\d:\d\d(?::\d\d)?(?:[.,]\d+)?(?:Z|[+-]\d\d:?\d\d)?"

# One alternation, earlier lines win: (how the text found is treated, pattern). The name of a
# placeholder means "write the placeholder". Patterns hold no capturing group of their own.
_MASKS: tuple[tuple[str, str], ...] = (
    ("keep", _CODE),
    # {"error": "not found"}: the key and the words are the message, only values inside them vary.
    ("pair", rf'"[A-Za-z_][\w.-]*"\s*:\s*{_DOUBLE}'),
    ("pair", r"\B'[A-Za-z_][\w.-]*'\s*:\s*'(?:[^'\\]|\\.)*'\B"),
    ("keep", _KEY),
    ("quoted", rf"{_DOUBLE}|{_SINGLE}|`[^`\s]+`"),
    ("url", r"""\b[A-Za-z][A-Za-z0-9+.-]*://[^\s"'<>)\]]+"""),
    ("email", r"\b[\w.+-]+@[\w-]+(?:\.[\w-]+)+\b"),
    ("uuid", rf"\b{_HEX}{{8}}-{_HEX}{{4}}-{_HEX}{{4}}-{_HEX}{{4}}-{_HEX}{{12}}\b"),
    ("time", rf"\b\d{{4}}-\d\d-\d\d[T ]{_CLOCK}\b|\b\d{{1,2}}:\d\d:\d\d(?:[.,]\d+)?\b"),
    ("date", r"\b\d{4}[-/]\d\d[-/]\d\d\b|\b\d{1,2}/\d{1,2}/\d{4}\b"),
    (
        "ip",
        rf"\b\d{{1,3}}(?:\.\d{{1,3}}){{3}}(?::\d+)?\b|\b(?:{_HEX}{{1,4}}:){{4,7}}{_HEX}{{1,4}}\b",
    ),
    ("path", r"""\b[A-Za-z]:\\[^\s"'<>|]+"""),
    ("path", r"""\B(?:~|\.\.?)?/[^\s"'<>()\[\]{},;]*[^\s"'<>()\[\]{},;:.]"""),
    ("path", rf"\b[\w-]+(?:[./][\w-]+)*\.(?:{_FILE})\b"),
    ("hex", rf"\b0[xX]{_HEX}+\b|\b{_HEX}{{8,}}\b"),
    ("num", rf"\b\d+(?:[.,]\d+)*(?:{_UNIT})?\b"),
    ("mixed", r"\b[A-Za-z_][A-Za-z_-]*\d[\w-]*|\b\d+[\w-]+"),
)
PLACEHOLDERS = ("num", "id", "hex", "uuid", "path", "time", "date", "ip", "url", "email", "str")


def _compiled(pattern: str) -> Any:
    """Through RE2, whose time is linear in the text whatever the pattern; it ships no types."""
    return re2.compile(pattern)


_TREATMENTS = [treatment for treatment, _ in _MASKS]
_VALUE = _compiled("|".join(f"({pattern})" for _, pattern in _MASKS))
_TERMINAL_COLOUR = _compiled(r"\x1b(?:\[[0-9;?]*[A-Za-z])?")
# "<id>, <id>, <id>" says no more than "<id>": how long a list was is a value too.
_LIST = _compiled("|".join(rf"<{name}>(?:(?:,? |,)<{name}>)+" for name in PLACEHOLDERS))
_TOKEN = _compiled(r"<[a-z]+>|[\pL\pM\pN_]+")

# NUL and the other control characters, but for ESC, which opens a colour code.
_CONTROLS = {code: " " for code in (*range(0x20), *range(0x7F, 0xA0)) if code != 0x1B}


@dataclass(frozen=True, slots=True)
class Signature:
    """The unchanging part of a failure; equal hashes mean the same failure."""

    error_type: str
    tool: str
    template: str
    tokens: tuple[str, ...]
    hash: str  # sha256 in hex, over the version, error type, tool and template
    version: int = SIGNATURE_VERSION


def signature(error_type: str | None, tool: str | None, message: str | None) -> Signature:
    """Reduce a failure to what stays the same when it recurs.

    Any text is accepted: control characters count as blanks, lone surrogates become U+FFFD, and a
    message is cut to its first HEAD_WORDS and last TAIL_WORDS words of at most MAX_WORD_CHARS.
    The error type and the tool are names, so digits in them stay ("http404" is not "http500").
    """
    return signature_of(error_type, tool, mask(message or ""))


def signature_of(error_type: str | None, tool: str | None, template: str) -> Signature:
    """The signature of a message that is masked already, such as a stored pattern's template."""
    type_name, tool_name = folded_name(error_type), folded_name(tool)
    # Control characters were folded away, so this separator cannot occur inside a part.
    parts = (str(SIGNATURE_VERSION), type_name, tool_name, template)
    return Signature(
        error_type=type_name,
        tool=tool_name,
        template=template,
        tokens=tuple(_TOKEN.findall(template)[:MAX_TOKENS]),
        hash=hashlib.sha256("\x1f".join(parts).encode()).hexdigest(),
    )


def folded_name(text: str | None) -> str:
    """A name as it is compared: printable, blanks folded, at most MAX_NAME_CHARS; None is empty."""
    return " ".join(_printable(text or "").replace("\x1b", " ").split())[:MAX_NAME_CHARS].rstrip()


def mask(message: str) -> str:
    """Put a typed placeholder where a message holds a value; linear in its length (RE2)."""
    text = " ".join(_cut(_printable(message).split()))
    text = " ".join(_TERMINAL_COLOUR.sub("", text).split())
    return str(_LIST.sub(_first_of_list, _VALUE.sub(_masked, text)))


def _printable(text: str) -> str:
    # Through UTF-16, because that is where a lone surrogate is an error and a pair is a character.
    whole = text.encode("utf-16", "surrogatepass").decode("utf-16", "replace")
    return whole.translate(_CONTROLS)


def _cut(words: list[str]) -> Iterable[str]:
    if len(words) > HEAD_WORDS + TAIL_WORDS:
        words = [*words[:HEAD_WORDS], "…", *words[-TAIL_WORDS:]]
    return (word[:MAX_WORD_CHARS] for word in words)


def _masked(match: Any) -> str:
    treatment, text = _TREATMENTS[match.lastindex - 1], match.group()
    match treatment:
        case "keep":
            return str(text)
        case "pair":
            quote = text[-1]
            value_at = text.index(quote, text.index(":")) + 1
            return f"{text[:value_at]}{_VALUE.sub(_masked, text[value_at:-1])}{quote}"
        case "quoted":
            is_prose = text.count(" ") >= PROSE_WORDS - 1
            return f"{text[0]}{_VALUE.sub(_masked, text[1:-1])}{text[-1]}" if is_prose else "<str>"
        case "hex":
            return "<num>" if text.isdigit() else "<hex>"
        case "mixed":
            return _masked_word(text)
    return f"<{treatment}>"


def _masked_word(word: str) -> str:
    """Tell an identifier (HAT139, gift_card_7, FQ8APE) from a name with a digit in it (eth0, utf8)."""
    digits = sum(char.isdigit() for char in word)
    numbered = any(a in "_-" and b.isdigit() for a, b in pairwise(word))
    if digits >= 2 or numbered or (word.isupper() and len(word) >= 5):
        return "<id>"
    return f"<num>{word[1:]}" if word[0].isdigit() else word


def _first_of_list(match: Any) -> str:
    text: str = match.group()
    return text[: text.index(">") + 1]
