"""A catalogue as a file: its form, and what of somebody else's file can be taken.

    {"content": {"patterns": [{name, error_type, tool, template, frames, signature, signature_version, strong_above,
     weak_from, merged_into, signatures: [{hash, version, confidence, is_taught, base, word}]}]},
     "format": "antibody-catalog", "hash": SHA-256 of the content's canonical bytes (RFC 8785), "version": 1}

`merged_into` is the signature of the pattern that a person merged it into; `base` and `word` are those of a branch
(``telling.py``); all three are empty mostly. The keys under which patterns are found follow from them. No incident is
in it, and no trust of a person's: who lets a recovery be applied without asking says so where it is applied.
"""

from __future__ import annotations

import math
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from governance.refusals import Invalid

from .signature import SIGNATURE_VERSION
from .telling import LONGEST_WORD, branch_of

__all__ = ["FORMAT", "VERSION", "KnownPattern", "KnownSignature", "read", "read_patterns"]

FORMAT, VERSION = "antibody-catalog", 1

MOST_PATTERNS = 100_000
MOST_SIGNATURES = 10_000
"""Of one pattern."""
MOST_FRAMES = 64
LONGEST_NAME, LONGEST_KIND, LONGEST_TEMPLATE, LONGEST_FRAME = 300, 200, 1_048_576, 1_000

_HASH = re.compile(r"[0-9a-f]{64}")
# A signature's hash keeps its parts apart by them.
_CONTROL = re.compile(r"[\x00-\x1f\x7f]")


@dataclass(frozen=True, slots=True)
class KnownSignature:
    """One way in which failures of the pattern are signed, how surely (0 to 1), and whether a person decided it."""

    hash: str
    version: int
    confidence: float
    is_taught: bool
    base: str = ""
    word: str = ""


@dataclass(frozen=True, slots=True)
class KnownPattern:
    """One kind of failure as a catalogue tells it."""

    name: str
    error_type: str
    tool: str
    template: str
    frames: tuple[str, ...]
    signature: str
    signature_version: int
    strong_above: float
    weak_from: float
    signatures: tuple[KnownSignature, ...]
    merged_into: str = ""

    def as_json(self) -> dict[str, Any]:
        """As it stands in the file."""
        return {
            "name": self.name,
            "error_type": self.error_type,
            "tool": self.tool,
            "template": self.template,
            "frames": list(self.frames),
            "signature": self.signature,
            "signature_version": self.signature_version,
            "strong_above": self.strong_above,
            "weak_from": self.weak_from,
            "merged_into": self.merged_into,
            "signatures": [
                {
                    "hash": each.hash,
                    "version": each.version,
                    "confidence": each.confidence,
                    "is_taught": each.is_taught,
                    "base": each.base,
                    "word": each.word,
                }
                for each in self.signatures
            ],
        }


def read(file: Any) -> tuple[dict[str, Any], str]:
    """The content of a file and the hash that it claims. Raises Invalid, which names the field and its limit."""
    whole = _object(file, "catalog", {"content", "format", "hash", "version"})
    if whole["format"] != FORMAT:
        raise _unfit("catalog.format", f"must be {FORMAT!r}: this is no catalogue")
    if whole["version"] != VERSION or isinstance(whole["version"], bool):
        raise _unfit("catalog.version", f"must be {VERSION}: no other is known here", limit=VERSION)
    content = _object(whole["content"], "catalog.content", {"patterns"})
    found = _list(content["patterns"], "catalog.content.patterns", MOST_PATTERNS)
    return {"patterns": found}, _hash(whole["hash"], "catalog.hash")


def read_patterns(content: Mapping[str, Any]) -> Iterator[KnownPattern]:
    """The patterns of a content, each checked as it comes. Raises Invalid, which names the field and its limit.

    A signature stands for one pattern: a hash that comes twice is refused.
    """
    seen: set[str] = set()
    for at, each in enumerate(content["patterns"]):
        place = f"catalog.content.patterns[{at}]"
        pattern = _pattern(each, place)
        for hash in dict.fromkeys([pattern.signature, *(one.hash for one in pattern.signatures)]):
            if hash in seen:
                raise _unfit(place, f"the signature {hash} comes twice")
            seen.add(hash)
        yield pattern


_OF_PATTERN = {
    "name", "error_type", "tool", "template", "frames", "signature", "signature_version",
    "strong_above", "weak_from", "merged_into", "signatures",
}  # fmt: skip


def _pattern(value: Any, place: str) -> KnownPattern:
    said = _object(value, place, _OF_PATTERN)
    signatures = _list(said["signatures"], f"{place}.signatures", MOST_SIGNATURES)
    frames = _list(said["frames"], f"{place}.frames", MOST_FRAMES)
    found = KnownPattern(
        name=_text(said["name"], f"{place}.name", LONGEST_NAME),
        error_type=_text(said["error_type"], f"{place}.error_type", LONGEST_KIND),
        tool=_text(said["tool"], f"{place}.tool", LONGEST_KIND),
        template=_text(said["template"], f"{place}.template", LONGEST_TEMPLATE),
        frames=tuple(
            _text(each, f"{place}.frames[{at}]", LONGEST_FRAME) for at, each in enumerate(frames)
        ),
        signature=_hash(said["signature"], f"{place}.signature"),
        signature_version=_version(said["signature_version"], f"{place}.signature_version"),
        strong_above=_share(said["strong_above"], f"{place}.strong_above"),
        weak_from=_share(said["weak_from"], f"{place}.weak_from"),
        signatures=tuple(
            _signature(each, f"{place}.signatures[{at}]") for at, each in enumerate(signatures)
        ),
        merged_into=_perhaps_hash(said["merged_into"], f"{place}.merged_into"),
    )
    if not found.name.strip():
        raise _unfit(f"{place}.name", "must not be empty")
    if not (found.error_type or found.template or found.frames):
        raise _unfit(place, "nothing to recognise it by: no error type, no template, no frame")
    if found.weak_from > found.strong_above:
        raise _unfit(f"{place}.weak_from", "must not be above strong_above")
    hashes = [each.hash for each in found.signatures]
    if len(set(hashes)) != len(hashes):
        raise _unfit(f"{place}.signatures", "a hash comes twice")
    return found


def _signature(value: Any, place: str) -> KnownSignature:
    said = _object(value, place, {"hash", "version", "confidence", "is_taught", "base", "word"})
    if not isinstance(said["is_taught"], bool):
        raise _unfit(f"{place}.is_taught", "must be true or false")
    base = _perhaps_hash(said["base"], f"{place}.base")
    word = _text(said["word"], f"{place}.word", LONGEST_WORD)
    if bool(base) != bool(word) or (word and said["hash"] != branch_of(base, word)):
        raise _unfit(f"{place}.word", "must be the word that makes this hash of the base")
    return KnownSignature(
        _hash(said["hash"], f"{place}.hash"),
        _version(said["version"], f"{place}.version"),
        _share(said["confidence"], f"{place}.confidence"),
        said["is_taught"],
        base,
        word,
    )


def _object(value: Any, place: str, wanted: set[str]) -> dict[str, Any]:
    if not isinstance(value, dict):
        raise _unfit(place, "must be an object")
    if missing := sorted(wanted - value.keys()):
        raise _unfit(f"{place}.{missing[0]}", "is missing")
    if unknown := sorted(value.keys() - wanted):
        raise _unfit(f"{place}.{unknown[0][:100]}", "is not known here")
    return value


def _list(value: Any, place: str, most: int) -> list[Any]:
    if not isinstance(value, list):
        raise _unfit(place, "must be a list")
    if len(value) > most:
        raise _unfit(place, f"at most {most} entries", limit=most)
    return value


def _text(value: Any, place: str, longest: int) -> str:
    if not isinstance(value, str):
        raise _unfit(place, "must be a text")
    if len(value) > longest:
        raise _unfit(place, f"at most {longest} characters", limit=longest)
    if _CONTROL.search(value):
        raise _unfit(place, "must hold no control characters")
    return value


def _hash(value: Any, place: str) -> str:
    if not isinstance(value, str) or not _HASH.fullmatch(value):
        raise _unfit(place, "must be a SHA-256: 64 digits of 0-9 and a-f")
    return value


def _perhaps_hash(value: Any, place: str) -> str:
    return "" if value == "" else _hash(value, place)


def _version(value: Any, place: str) -> int:
    if not isinstance(value, int) or isinstance(value, bool) or value < 1:
        raise _unfit(place, "must be a whole number from 1 on", limit=1)
    if value > SIGNATURE_VERSION:
        raise _unfit(
            place,
            f"signed in version {value}, and only up to {SIGNATURE_VERSION} is known here: a newer release wrote it",
            limit=SIGNATURE_VERSION,
        )
    return value


def _share(value: Any, place: str) -> float:
    if not isinstance(value, int | float) or isinstance(value, bool):
        raise _unfit(place, "must be a number")
    if not (math.isfinite(value) and 0 <= value <= 1):
        raise _unfit(place, "must be from 0 to 1", limit=1)
    return float(value)


def _unfit(place: str, says: str, **limits: Any) -> Invalid:
    return Invalid(f"{place}: {says}.", field=place, **limits)
