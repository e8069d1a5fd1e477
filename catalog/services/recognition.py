"""What signatures are recognised as: known by their hash, most like a pattern that an index finds, or new."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import lru_cache, partial
from typing import Any

from django.db import connection
from django.db.models import QuerySet

from governance import ledger, redaction
from governance.actors import LOOP
from governance.database.compiled import Question, ask, compiled
from governance.database.inserts import insert
from governance.database.scoped import IN_SCOPE
from governance.database.trips import one_trip
from governance.ids import new_id
from governance.refusals import Invalid
from incidents.models import Incident

from ..models import Pattern, PatternKey, PatternSignature
from ..rules import (
    SIGNATURE_VERSION,
    Band,
    Candidate,
    Signature,
    Thresholds,
    band_for,
    evidence_of,
    keys_of,
    signature_of,
)
from ..rules.stream import Catalogue, Placed
from ..rules.telling import said
from .renewal import holding_newcomers, renew

# How far occurrences are counted for the evidence of a match; patterns of one failure in a million
# and of a million failures then cost the same.
SEEN_MOST = 100

LONGEST_NAME = 300

# Outdated signatures that are made anew before an unknown failure is compared; the clock does the rest.
RENEWED_AT_ONCE = 200


@dataclass(frozen=True, slots=True)
class Recognition:
    """What a signature was recognised as: the pattern, how surely (0 to 1), and why."""

    pattern: Pattern
    confidence: float
    band: Band
    why: Mapping[str, Any]
    is_new: bool = False


@dataclass(slots=True)
class Known:
    """What each signature (by its hash) was recognised as, and how often each pattern was seen before.

    ``branches`` are those of signatures that a person told apart: by the hash, the branch that each word leads to.
    """

    recognised: dict[str, Recognition] = field(default_factory=dict)
    seen: Counter[str] = field(default_factory=Counter)
    branches: dict[str, dict[str, str]] = field(default_factory=dict)

    def hash_of(self, incident: Incident, made: Signature) -> str:
        """The hash that the incident is known by: that of its signature, or of the branch that its words lead to."""
        branches = self.branches.get(made.hash)
        if not branches:
            return made.hash
        words = set(said(incident.message))
        return next((branches[word] for word in branches if word in words), made.hash)


def recognised(signatures: Mapping[Incident, Signature]) -> Known:
    """Look the signatures up; what is unknown is compared, or opened, while nobody else opens patterns."""
    by_hash: dict[str, tuple[Signature, Incident]] = {}
    for incident, made in signatures.items():
        by_hash.setdefault(made.hash, (made, incident))
    known = Known()
    look_up(known, by_hash)
    unknown = {name: by_hash[name] for name in by_hash.keys() - known.recognised.keys()}
    if unknown:
        strangers = [signature for signature, _ in unknown.values()]
        # Looked up again, once we hold the lock: what others committed while we waited is seen only now.
        again: list[Question[Any]] = [_signed.ready(list(unknown)), finding(strangers)]
        is_outdated, found, nearby = ask(holding_newcomers(), *again)
        if is_outdated and renew(RENEWED_AT_ONCE, tools={each.tool for each in strangers}):
            found, nearby = ask(*again)
        _remember_all(known, found)
        newcomers = [each for name, each in by_hash.items() if name not in known.recognised]
        _compare(known, newcomers, nearby)
    return known


def same(pattern: Pattern, confidence: float = 1.0, *, signature_id: str = "") -> Recognition:
    """A signature that was decided before: as sure as it was then, and why is told by the signature."""
    why: dict[str, Any] = {
        "similarity": round(confidence, 4),
        "same_signature": True,
        "signature_version": SIGNATURE_VERSION,
    }
    if signature_id:
        why["signature_id"] = signature_id
    band = band_for(confidence, pattern.strong_above, pattern.weak_from)
    # A threshold of its own that rose since makes it weak, and no new kind of failure.
    return Recognition(pattern, confidence, band if band == Band.STRONG else Band.WEAK, why)


def look_up(known: Known, hashes: Iterable[str]) -> None:
    """Add what these hashes, and the branches of those that people told apart, are known to be."""
    _remember_all(known, _signed(list(hashes)))


def _remember_all(known: Known, found: Sequence[PatternSignature]) -> None:
    _remember(known, found)
    if forked := [each.hash for each in found if each.is_forked]:
        branches = _branches(forked)
        _remember(known, branches)
        for each in branches:
            known.branches.setdefault(each.base, {}).setdefault(each.word, each.hash)


def _remember(known: Known, rows: Sequence[PatternSignature]) -> None:
    roots = _roots(each.pattern for each in rows)
    for each in rows:
        pattern = roots.get(each.pattern.root_id or "", each.pattern)
        known.recognised[each.hash] = same(pattern, each.confidence, signature_id=each.id)
        known.seen[pattern.id] = pattern.seen if pattern is not each.pattern else each.seen


def _roots(patterns: Iterable[Pattern]) -> dict[str, Pattern]:
    """The patterns that some of these were merged into, by id; asks nothing where none was."""
    wanted = {each.root_id for each in patterns if each.root_id}
    return {each.id: each for each in _seen(list(wanted))} if wanted else {}


@compiled
def _signed(hashes: Sequence[str]) -> QuerySet[PatternSignature]:
    return (
        PatternSignature.objects.filter(hash__any=hashes)
        .select_related("pattern")
        .seen_up_to(SEEN_MOST)
        .order_by()  # else PostgreSQL may walk all of them in their order
    )


def _branches(bases: Sequence[str]) -> list[PatternSignature]:
    """The branches of forked signatures; what was taught last comes first, and goes before the others."""
    rows = PatternSignature.objects.filter(base__any=bases).select_related("pattern")
    return list(rows.seen_up_to(SEEN_MOST).order_by("-id"))


def _compare(
    known: Known, newcomers: Sequence[tuple[Signature, Incident]], nearby: Iterable[Found]
) -> None:
    """Let each join the pattern that it is most like, or open its own. Holds the lock.

    The unique constraint has the last word: an IntegrityError would mean that somebody wrote past the
    lock, and landing again finds that pattern.
    """
    if not newcomers:
        return
    catalogue = Catalogue(partial(new_id, "pat"))
    roots: dict[str, str] = {}
    for found in nearby:
        roots[found.candidate.id] = found.root_id or found.candidate.id
        for key in found.keys:
            catalogue.know(found.candidate, key)
    placed = [(made, incident, catalogue.place(made)) for made, incident in newcomers]
    new = {each.pattern: opened(each.pattern, made) for made, _, each in placed if each.is_new}
    joined = {each.pattern for _, _, each in placed} - new.keys()
    patterns = new | _joined({*joined, *(roots[each] for each in joined)})
    _write(list(new.values()), placed, patterns, catalogue.refined)
    for made, _, decision in placed:
        pattern = patterns[roots.get(decision.pattern, decision.pattern)]
        known.recognised[made.hash] = _recognition(made, decision, pattern)
        if pattern.id not in new:
            known.seen.setdefault(pattern.id, pattern.seen)


def _joined(ids: Collection[str]) -> dict[str, Pattern]:
    return {each.id: each for each in _seen(list(ids))} if ids else {}


@compiled
def _seen(ids: Sequence[str]) -> QuerySet[Pattern]:
    return Pattern.objects.filter(id__any=ids).seen_up_to(SEEN_MOST).order_by()


@dataclass(frozen=True, slots=True)
class Found:
    """A pattern that failures like some are compared with, the keys that led to it, and what it was merged into."""

    candidate: Candidate
    keys: Sequence[int]
    root_id: str | None


# For each key the newest patterns under it, from its index: however many patterns there are.
_AT_HAND = """
    SELECT found.keys, pattern.id, pattern.error_type, pattern.tool, pattern.template, pattern.frames, root.id,
           coalesce(root.strong_above, pattern.strong_above), coalesce(root.weak_from, pattern.weak_from)
    FROM (
        SELECT newest.pattern_id, array_agg(wanted.key) AS keys
        FROM unnest(%s::bigint[], %s::int[]) AS wanted (key, most)
        CROSS JOIN LATERAL (
            SELECT pattern_id FROM catalog_patternkey AS entry
            WHERE entry.tenant_id = %s AND entry.key = wanted.key
            ORDER BY entry.pattern_id DESC LIMIT wanted.most
        ) AS newest
        GROUP BY newest.pattern_id
    ) AS found
    JOIN catalog_pattern AS pattern ON pattern.tenant_id = %s AND pattern.id = found.pattern_id
    LEFT JOIN catalog_pattern AS root ON root.tenant_id = %s AND root.id = pattern.root_id
"""


def finding(signatures: Iterable[Signature]) -> Question[list[Found]]:
    """The patterns that an index finds for failures that are signed so, each once."""
    keys = {key: most for made in signatures for key, most in keys_of(made).items()}
    params = [list(keys), list(keys.values()), IN_SCOPE, IN_SCOPE, IN_SCOPE]
    return Question(_AT_HAND, params, _found)


def _found(rows: Iterable[Any]) -> list[Found]:
    found = []
    for led_by, id, error_type, tool, template, frames, root_id, strong_above, weak_from in rows:
        made = _signature_of(error_type, tool, template, tuple(map(str, json.loads(frames))))
        candidate = Candidate(id, made, Thresholds(strong_above, weak_from))
        found.append(Found(candidate, led_by, root_id))
    return found


def signature_at(pattern: Pattern) -> Signature:
    """A stored pattern's signature, as new failures are compared with it."""
    frames = tuple(map(str, pattern.frames))
    return _signature_of(pattern.error_type, pattern.tool, pattern.template, frames)


# Stored templates are signed again to be compared; the same few come up again and again. Some 10 MB at most.
@lru_cache(maxsize=4_096)
def _signature_of(error_type: str, tool: str, template: str, frames: tuple[str, ...]) -> Signature:
    return signature_of(error_type, tool, template, frames)


def _recognition(made: Signature, placed: Placed, pattern: Pattern) -> Recognition:
    why: dict[str, Any] = evidence_of(made, placed.choice) if placed.choice else {}
    if placed.is_new and placed.choice and placed.choice.nearest:
        why = {"nearest": {"pattern_id": placed.choice.nearest.id, **why}}
    return Recognition(pattern, placed.confidence, placed.band, why, placed.is_new)


def opened(pattern_id: str, made: Signature) -> Pattern:
    """A new pattern of this signature, not yet written."""
    return Pattern(
        id=pattern_id,
        name=_name(made),
        error_type=made.error_type,
        tool=made.tool,
        template=made.template,
        frames=list(made.frames),
        signature=made.hash,
        signature_version=made.version,
    )


def valid_name(name: str) -> str:
    """A name as a person gave it, blanks folded. Raises Invalid for an empty one or one over 300 characters."""
    name = " ".join(name.split())
    if not 1 <= len(name) <= LONGEST_NAME or not name.isprintable():
        raise Invalid(f"A name has 1 to {LONGEST_NAME} printable characters.", field="name")
    return name


def _name(made: Signature) -> str:
    """ "OperationalError in sql_query: no such column <str>", until a person finds a better one."""
    kind = made.error_type or "Failure"
    where = f" in {made.tool}" if made.tool else ""
    what = f": {made.template}" if made.template else ""
    return redaction.text(f"{kind}{where}{what}")[:LONGEST_NAME].rstrip()


def _write(
    opened: Sequence[Pattern],
    placed: Sequence[tuple[Signature, Incident, Placed]],
    patterns: Mapping[str, Pattern],
    templates: Mapping[str, str],
) -> None:
    """Patterns, signatures and keys: a statement each, however many there are, and all on one trip."""
    for pattern in opened:
        pattern.template = templates.get(pattern.id, pattern.template)
    new = {pattern.id for pattern in opened}
    with one_trip():
        insert(opened)
        insert(
            PatternSignature(
                pattern=patterns[each.pattern],
                incident=incident,
                hash=made.hash,
                version=made.version,
                confidence=1.0 if each.is_new else each.confidence,
            )
            for made, incident, each in placed
        )
        insert(
            (
                PatternKey(key=key, pattern=patterns[each.pattern])
                for _, _, each in placed
                for key in each.keys
            ),
            ignore_conflicts=True,
        )
        refine({name: text for name, text in templates.items() if name not in new})


def refine(templates: Mapping[str, str]) -> None:
    """Let values stand where failures that joined a pattern have shown that its words are names."""
    if not templates:
        return
    with connection.cursor() as cursor:
        cursor.execute(
            "UPDATE catalog_pattern SET template = said.template "
            "FROM unnest(%s::text[], %s::text[]) AS said (id, template) "
            "WHERE catalog_pattern.tenant_id = %s AND catalog_pattern.id = said.id",
            [list(templates), list(templates.values()), IN_SCOPE],
        )
    ledger.append_all(
        ledger.Entry(
            "pattern.refined", each, LOOP, "Another name stood where its template had one."
        )
        for each in templates
    )
