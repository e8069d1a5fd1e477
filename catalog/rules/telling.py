"""Telling failures apart that are signed alike: by a word that the signature masks, because it is a value.

"status <num>" is one signature, and a person may know that 404 and 500 are two kinds of failure.
"""

from __future__ import annotations

import hashlib
from collections.abc import Collection, Sequence

import re2

from .masking import printable, whole

__all__ = ["branch_of", "said", "telling_words"]

# Words of a text that are looked at, and how long one may be; the column that keeps it has as many characters.
MOST_WORDS = 2_000
LONGEST_WORD = 100
# More values than this are a list that somebody keeps elsewhere, and no kind of failure.
MOST_BRANCHES = 20

_WORD = re2.compile(r"[\pL\pM\pN_]+(?:[.-][\pL\pM\pN_]+)*")


def said(text: str) -> list[str]:
    """The words of a message as it came, in small letters and in order, each as often as it stands there."""
    found = _WORD.findall(whole(printable(text)).lower())
    return [word for word in found[:MOST_WORDS] if len(word) <= LONGEST_WORD]


def branch_of(hash: str, word: str) -> str:
    """The hash of those failures with a signature that have a word; sha256 in hex."""
    return hashlib.sha256(f"{hash}\x1f{word}".encode()).hexdigest()


def telling_words(apart: Sequence[str], stay: Sequence[str]) -> list[str]:
    """The fewest words by which some messages are told from others: each of `apart` has one, none of `stay` has any.

    Of words that tell as many, one is preferred whose place holds few different words in the others: there a status
    stands, and an id does not. Empty where no twenty words tell them apart.
    """
    texts, others = [said(text) for text in apart], [said(text) for text in stay]
    known = {word for words in others for word in words}
    left = list(range(len(texts)))
    found: list[str] = []
    while left and len(found) < MOST_BRANCHES:
        counts: dict[str, int] = {}
        for at in left:
            for word in dict.fromkeys(texts[at]):
                if word not in known:
                    counts[word] = counts.get(word, 0) + 1
        if not counts:
            return []
        word = min(counts, key=lambda each: (-counts[each], _variety(each, texts, others)))
        found.append(word)
        left = [at for at in left if word not in texts[at]]
    return [] if left else found


def _variety(
    word: str, texts: Collection[Sequence[str]], others: Collection[Sequence[str]]
) -> float:
    """How many different words stand elsewhere where this one stands, as a share of those that were looked at; 0 to 1."""
    at = next(words.index(word) for words in texts if word in words)
    there = [words[at] for words in (*texts, *others) if len(words) > at]
    return len(set(there)) / len(there)
