"""A tenant's catalogue as a file: canonical JSON, written as it is read, with the hash of its content.

However many patterns there are, one batch of them is in memory. The order is that of their signatures, so that the
same catalogue has the same bytes and the same hash, whoever exports it.
"""

from __future__ import annotations

import hashlib
from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from typing import Any

from governance import redaction
from governance.ledger import canonical

from ..models import Pattern, PatternSignature
from ..rules.exchange import (
    FORMAT,
    LONGEST_FRAME,
    LONGEST_KIND,
    LONGEST_NAME,
    VERSION,
    KnownPattern,
    KnownSignature,
)
from ..rules.masking import printable

BATCH = 500


@dataclass(frozen=True, slots=True)
class Exported:
    """What was written: how many patterns and signatures, and the SHA-256 of the content in hex."""

    patterns: int
    signatures: int
    hash: str


def export(write: Callable[[bytes], Any]) -> Exported:
    """Hand the file of the tenant in scope to ``write``, piece by piece."""
    digest, patterns, signatures = hashlib.sha256(), 0, 0

    def counted() -> Iterator[KnownPattern]:
        nonlocal patterns, signatures
        for each in _patterns():
            patterns, signatures = patterns + 1, signatures + len(each.signatures)
            yield each

    # Canonical JSON sorts its names, so the content comes first and its hash can follow it.
    write(b'{"content":')
    for piece in pieces(each.as_json() for each in counted()):
        digest.update(piece)
        write(piece)
    rest = {"format": FORMAT, "hash": digest.hexdigest(), "version": VERSION}
    write(b"," + canonical(rest)[1:])
    return Exported(patterns, signatures, digest.hexdigest())


def pieces(patterns: Iterable[dict[str, Any]]) -> Iterator[bytes]:
    """The canonical bytes of a content, a pattern at a time. Raises LedgerError for a value that has none."""
    yield b'{"patterns":['
    between = b""
    for each in patterns:
        yield between + canonical(each)
        between = b","
    yield b"]}"


def _patterns() -> Iterator[KnownPattern]:
    after = ""
    by_signature = Pattern.objects.select_related("root").order_by("signature")
    while batch := list(by_signature.filter(signature__gt=after)[:BATCH]):
        signatures = _signatures([each.id for each in batch])
        yield from (_known(each, signatures[each.id]) for each in batch)
        after = batch[-1].signature


def _signatures(patterns: list[str]) -> dict[str, list[PatternSignature]]:
    """By pattern. Those that were signed again in a later version are told by what followed them."""
    found: dict[str, list[PatternSignature]] = defaultdict(list)
    for each in PatternSignature.objects.filter(pattern__in=patterns, successor="").order_by(
        "hash"
    ):
        found[each.pattern_id].append(each)
    return found


def _known(pattern: Pattern, signatures: Iterable[PatternSignature]) -> KnownPattern:
    return KnownPattern(
        name=_shown(pattern.name)[:LONGEST_NAME],
        error_type=_shown(pattern.error_type)[:LONGEST_KIND],
        tool=_shown(pattern.tool)[:LONGEST_KIND],
        template=_shown(pattern.template),
        frames=tuple(_shown(str(each))[:LONGEST_FRAME] for each in pattern.frames),
        signature=pattern.signature,
        signature_version=pattern.signature_version,
        strong_above=pattern.strong_above,
        weak_from=pattern.weak_from,
        signatures=tuple(
            KnownSignature(
                each.hash, each.version, each.confidence, each.is_taught, each.base, each.word
            )
            for each in signatures
            # A word that is a secret stays here, and with it the branch that it leads to.
            if _shown(each.word) == each.word
        ),
        merged_into=pattern.root.signature if pattern.root else "",
    )


def _shown(text: str) -> str:
    """Without what looks like a secret: a template may hold what an agent's message held."""
    return printable(redaction.text(text))
