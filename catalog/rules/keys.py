"""Under which keys a failure is found in an index, so that a new one is compared with few patterns and never with all.

Two failures that may join share a key: the same message (of another tool or type of error), the same words that say what
happened around other names (or every second of them), the same failing frames, or, for long texts, a good part of their words by MinHash in bands
(Broder 1997; Leskovec, Rajaraman and Ullman, "Mining of Massive Datasets", section 3.4).
"""

from __future__ import annotations

import zlib
from hashlib import blake2b

from .likeness import LONG, skeleton
from .signature import Signature

__all__ = ["MOST_KEYS", "keys_of"]

# Patterns that are looked at under one key, the newest of them: a key that more share says little. Under one that only
# tells which other pattern is nearest few will do.
MOST_PER_KEY = 32
MOST_NEARBY = 8

# Texts whose words agree by 0.85 (Jaccard) share a band in 99.7 of 100 cases, those that agree by 0.5 in 56.
BANDS, ROWS = 6, 3
MOST_KEYS = BANDS + 6

# A skeleton of one word ("failed") is that of half the catalogue.
FEWEST_WORDS = 2

_PERMUTATIONS = [
    ((0x9E3779B1 * (2 * n + 1)) & 0xFFFFFFFF | 1, (0x85EBCA6B * (n + 7) ** 3) & 0xFFFFFFFF)
    for n in range(BANDS * ROWS)
]


def keys_of(signature: Signature) -> dict[int, int]:
    """The keys of a signature, at most MOST_KEYS, each a signed integer of 64 bits: how many patterns under each are looked at."""
    keys: list[int] = []
    words = [word.lower() for word in signature.shape]
    if words:
        keys.append(_key("message", *words))
    says = skeleton(signature.shape)
    if len(says) >= FEWEST_WORDS:
        keys.append(_key("skeleton", *says))
    if len(words) >= LONG:
        keys += _bands(set(words))
    if signature.frames:
        keys.append(_key("frames", *signature.frames[:3]))
        keys.append(_key("frame", signature.frames[0]))
    # One other word leaves one of these as it is: such a pattern is not joined, but it is the nearest other.
    nearby = [
        _key("every second", *half)
        for start in (0, 1)
        if len(half := says[start::2]) >= FEWEST_WORDS
    ]
    return dict.fromkeys(nearby, MOST_NEARBY) | dict.fromkeys(keys, MOST_PER_KEY)


def _bands(words: set[str]) -> list[int]:
    hashes = [zlib.crc32(word.encode()) for word in words]
    least = [min((each * a + b) & 0xFFFFFFFF for each in hashes) for a, b in _PERMUTATIONS]
    return [
        _key("band", str(band), *map(str, least[band * ROWS : (band + 1) * ROWS]))
        for band in range(BANDS)
    ]


def _key(*parts: str) -> int:
    digest = blake2b("\x1f".join(parts).encode(), digest_size=8).digest()
    return int.from_bytes(digest, "big", signed=True)
