"""One word of a message: which parts of it are values, and of which kind.

A log repeats its words, so what a word became is remembered (a bounded table): a message then costs one look per word.
"""

from __future__ import annotations

from itertools import pairwise
from typing import Any

import re2

from .lexicon import is_word

__all__ = ["PLACEHOLDERS", "masked", "spans_of", "words_of"]

PLACEHOLDERS = frozenset(
    {
        "num",
        "id",
        "hex",
        "uuid",
        "path",
        "time",
        "date",
        "ip",
        "url",
        "email",
        "str",
        "name",
        "bool",
        "val",
        "cause",
    }
)

# Words remembered at a time; with MAX_WORD_CHARS of masking.py at most some 30 MB, in practice 3.
REMEMBERED = 20_000

_HEX = "[0-9a-fA-F]"
_FILE = (
    "py|ipynb|js|ts|txt|csv|tsv|jsonl?|ya?ml|xml|html?|pdf|docx?|xlsx?|pptx?|png|jpe?g|gif|svg|zip|tar|gz|tgz|log|md|sql|"
    "db|sqlite3?|parquet|ini|cfg|conf|toml|sh|c|cc|cpp|h|hpp|java|jar|apk|go|rs|exe|dll|so|properties"
)
_UNIT = "ms|us|ns|s|secs?|min|h|hrs?|d|days?|k|K|M|G|[kKMGT]i?[bB]|[kMG]?Hz|bytes|px|C|F|V|W|st|nd|rd|th|x"
_CLOCK = r"\d\d:\d\d(?::\d\d)?(?:[.,]\d+)?(?:Z|[+-]\d\d:?\d\d)?"

# One alternation, earlier lines win: (treatment, pattern). The name of a placeholder means "write the placeholder".
# Patterns hold no capturing group of their own, and none matches a blank.
_MASKS: tuple[tuple[str, str], ...] = (
    ("kept", r"<[a-z]+>"),
    ("url", r"""\b[A-Za-z][A-Za-z0-9+.-]*://[^\s"'<>)\]]+"""),
    ("email", r"\b[\w.+-]+@[\w-]+(?:\.[\w-]+)+\b"),
    ("given", r"""\b[A-Za-z_][\w.-]*=[^\s=,;:<>()\[\]{}'"]+"""),
    ("uuid", rf"\b{_HEX}{{8}}-{_HEX}{{4}}-{_HEX}{{4}}-{_HEX}{{4}}-{_HEX}{{12}}\b"),
    ("time", rf"\b\d{{4}}-\d\d-\d\d[T_]{_CLOCK}\b|\b\d{{1,2}}:\d\d:\d\d(?:[.,]\d+)?\b"),
    ("date", r"\b\d{4}[-/]\d\d[-/]\d\d\b|\b\d{1,2}/\d{1,2}/\d{4}\b"),
    (
        "ip",
        rf"/?\b\d{{1,3}}(?:\.\d{{1,3}}){{3}}(?::\d+)?\b|\b(?:{_HEX}{{1,4}}:){{4,7}}{_HEX}{{1,4}}\b",
    ),
    ("path", r"""\b[A-Za-z]:\\[^\s"'<>|]+"""),
    ("path", r"""\B(?:~|\.\.?)?/[^\s"'<>()\[\]{},;]*[^\s"'<>()\[\]{},;:.]"""),
    ("path", rf"\b[\w-]+(?:[./][\w-]+)*\.(?:{_FILE})\b"),
    ("dotted", r"\b[\w-]+(?:\.[\w$-]+){2,}(?:/[\w.$-]+)?(?::\d+\b)?"),
    ("hex", rf"\b0[xX]{_HEX}+\b|\b{_HEX}{{8,}}\b"),
    ("bool", r"\b(?i:true|false|null|nil)\b|\bNone\b"),
    ("num", rf"\b\d+(?:[.,]\d+)*(?:{_UNIT})?\b"),
    ("mixed", r"\b[A-Za-z_][A-Za-z_-]*\d[\w-]*|\b\d+[\w-]+"),
)
_TREATMENTS = [treatment for treatment, _ in _MASKS]


def _compiled(pattern: str) -> Any:
    """Through RE2, whose time is linear in the text whatever the pattern; it ships no types."""
    return re2.compile(pattern)


_VALUE = _compiled("|".join(f"({pattern})" for _, pattern in _MASKS))
# "<id>,<id>,<id>" says no more than "<id>": how long a list was is a value too. So is the sign of a number.
_LIST = _compiled("|".join(rf"<{name}>(?:[,:/|-]<{name}>)+" for name in sorted(PLACEHOLDERS)))
_SIGN = _compiled(r"(^|[^\w>)\]])[-+]<num>")
# A key keeps its mark ("user="), because what stands behind one is a value.
_TOKEN = _compiled(r"<[a-z]+>|[\pL\pM\pN_*…]+=?")

_remembered: dict[str, str] = {}


def masked(word: str) -> str:
    """The word with its values masked; words without a digit or a mark are themselves."""
    if word.isalpha() and word not in _LITERALS:
        return word
    found = _remembered.get(word)
    if found is None:
        if len(_remembered) >= REMEMBERED:
            _remembered.clear()
        found = _remembered[word] = _masked(word)
    return found


_LITERALS = frozenset(
    form for word in ("true", "false", "null", "nil") for form in (word, word.title(), word.upper())
) | {"None"}


def _masked(word: str) -> str:
    text = _VALUE.sub(_replaced, word)
    if "<" in text:
        text = _LIST.sub(_first, _SIGN.sub(r"\1<num>", text))
    return str(text)


def _replaced(match: Any) -> str:
    treatment, text = _TREATMENTS[match.lastindex - 1], match.group()
    match treatment:
        case "kept":
            return str(text)
        case "given":
            return _given(text)
        case "hex":
            return "<num>" if text.isdigit() else "<hex>"
        case "dotted":
            return _dotted(text)
        case "mixed":
            return _mixed(text)
    return f"<{treatment}>"


def _given(text: str) -> str:
    """``key=value``: what stands there is the value of that key."""
    key, _, value = text.partition("=")
    inner = str(_VALUE.sub(_replaced, value))
    whole = inner.startswith("<") and inner.endswith(">") and inner[1:-1] in PLACEHOLDERS
    if whole:
        return f"{key}={inner}"
    # "state=open", "user=guest": a word of the language may say what happened; a name never does.
    return text if is_word(value) else f"{key}=<val>"


def _dotted(text: str) -> str:
    """A host, a package, a version; but an exception's class says what went wrong."""
    if text.replace(".", "").isdigit():
        return "<num>"
    if text.endswith(("Error", "Exception", "Warning", "Fault")):
        return text
    return "<name>"


def _mixed(word: str) -> str:
    """Tell an identifier (HAT139, gift_card_7, FQ8APE) from a name with a digit in it (eth0, utf8)."""
    digits = sum(char.isdigit() for char in word)
    numbered = any(a in "_-" and b.isdigit() for a, b in pairwise(word)) or "-" in word
    if digits >= 2 or numbered or (word.isupper() and len(word) >= 5):
        return "<id>"
    return f"<num>{word[1:]}" if word[0].isdigit() else word


def _first(match: Any) -> str:
    text: str = match.group()
    return text[: text.index(">") + 1]


_parted: dict[str, tuple[str, ...]] = {}


def words_of(template: str) -> list[str]:
    """A template's words and placeholders, in order."""
    words: list[str] = []
    for word in template.split(" "):
        if word.isalpha():
            words.append(word)
            continue
        found = _parted.get(word)
        if found is None:
            if len(_parted) >= REMEMBERED:
                _parted.clear()
            found = _parted[word] = tuple(_TOKEN.findall(word))
        words += found
    return words


def spans_of(template: str) -> list[tuple[int, int]]:
    """Where the words of a template's shape stand in it; values side by side are one."""
    spans: list[tuple[int, int]] = []
    was_value = False
    for match in _TOKEN.finditer(template):
        is_value = match.group()[0] == "<"
        if is_value and was_value:
            spans[-1] = spans[-1][0], match.end()
        else:
            spans.append(match.span())
        was_value = is_value
    return spans
