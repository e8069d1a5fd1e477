"""Signing again what was signed in an older version, a few at a time, so that a better signature loses no history.

Old signatures stay and say what became of them; the pattern, its name, its matches and all that rests on them stay.
What a person taught stays taught: branches of a signature become branches of the new one, and where a person told two
patterns apart that turn out to be signed alike in the new version, the second becomes a branch. Where no person did, the
one that came first keeps the signature: from then on failures join it, and what the other has remains its own.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Sequence

from django.db import connection

from governance import ledger
from governance.actors import LOOP
from governance.database.compiled import Question
from governance.database.inserts import insert
from governance.database.scoped import IN_SCOPE
from governance.database.tenancy import required_tenant
from incidents.models import Incident

from ..models import Pattern, PatternKey, PatternMatch, PatternSignature
from ..rules import SIGNATURE_VERSION, Signature, keys_of, refined, signature, signature_of
from ..rules.signature import shape_of
from ..rules.telling import branch_of, telling_words

BATCH = 200
# Failures of a pattern that are looked at for what tells it from another one.
EXAMPLES = 50


def hold_newcomers() -> bool:
    """Make whoever else meets an unknown failure of this tenant wait until this transaction ends.

    Answers whether there are signatures of an older version, by which a failure could be known.
    """
    return holding_newcomers().answer()


def holding_newcomers() -> Question[bool]:
    """The same, for who asks more than this on one trip: what is asked after it sees what others did before they let go."""
    return Question(
        # The oldest one from its index: where none is outdated, EXISTS was measured to read all of them.
        "SELECT pg_advisory_xact_lock(hashtextextended(%s, 0)), ("
        "SELECT version FROM catalog_patternsignature WHERE tenant_id = %s AND successor = '' "
        "ORDER BY version LIMIT 1) < %s",
        [f"catalog.patterns:{required_tenant()}", IN_SCOPE, SIGNATURE_VERSION],
        lambda rows: bool(rows[0][1]),
    )


def renew_some() -> int:
    """Sign a batch of the tenant in scope again; how many there were. The clock asks until there are none."""
    return renew(BATCH) if hold_newcomers() else 0


def renew(limit: int, *, tools: Collection[str] | None = None) -> int:
    """Sign up to `limit` outdated signatures again, oldest first; how many there were. Holds the lock.

    With `tools` only those of patterns of these tools: what an unknown failure could be.
    """
    outdated = PatternSignature.objects.filter(version__lt=SIGNATURE_VERSION, successor="")
    if tools is not None:
        outdated = outdated.filter(pattern__tool__in=tools)
    rows = list(outdated.select_related("pattern", "incident").order_by("id")[:limit])
    if not rows:
        return 0
    made = [_signed_again(row) for row in rows]
    successors = _successors(rows, made)
    insert(
        (
            PatternKey(key=key, pattern=row.pattern)
            for row, again, now in zip(rows, made, successors, strict=True)
            # A branch is found by its word alone.
            for key in ([] if now.word else keys_of(again))
        ),
        ignore_conflicts=True,
    )
    _say_successors(rows, successors)
    _renew_patterns(rows, made)
    return len(rows)


def _signed_again(row: PatternSignature) -> Signature:
    """From the text of the incident that was signed so; from the template where there is none."""
    if row.incident is not None:
        return sign(row.incident)
    return signature_of(
        row.pattern.error_type, row.pattern.tool, row.pattern.template, row.pattern.frames
    )


def _successors(
    rows: Sequence[PatternSignature], made: Sequence[Signature]
) -> list[PatternSignature]:
    """Write a row of the new version for each; those by which a person told failures apart stay apart."""
    wanted = [_successor(row, again) for row, again in zip(rows, made, strict=True)]
    kept = {each.hash: each for each in _kept({again.hash for again in made})}
    more: list[PatternSignature] = []
    bases = {row.base for row in wanted if row.base}
    for row in wanted:
        first = kept.setdefault(row.hash, row)
        if first is not row and (row.is_taught or first.is_taught) and _root(row) != _root(first):
            branch, base = (first, row) if not row.is_taught else (row, first)
            kept[row.hash] = base
            bases.add(row.hash)
            more += _branch_off(branch, base)
    insert([*wanted, *more], ignore_conflicts=True)
    PatternSignature.objects.filter(hash__in=bases).update(is_forked=True)
    return wanted


def _kept(hashes: set[str]) -> list[PatternSignature]:
    return list(
        PatternSignature.objects.filter(hash__in=hashes).select_related("pattern", "incident")
    )


def _root(row: PatternSignature) -> str:
    root: str = row.pattern.root_id or row.pattern_id
    return root


def _branch_off(branch: PatternSignature, base: PatternSignature) -> list[PatternSignature]:
    """Let a row be a branch of the one that is signed alike now; further rows where it takes several words.

    Where nothing that was said tells the two apart it stays as it is, and whoever holds the signature keeps it.
    """
    hash = base.hash
    words = telling_words(_texts(branch, hash), _texts(base, hash))
    if not words:
        return []
    was_written = not branch._state.adding  # noqa: SLF001 - Django's own way to ask
    branch.base, branch.word, branch.hash = hash, words[0], branch_of(hash, words[0])
    if was_written:
        branch.save(update_fields=["base", "word", "hash"])
        PatternSignature.objects.filter(successor=hash, pattern=branch.pattern_id).update(
            successor=branch.hash
        )
    return [
        PatternSignature(
            pattern=branch.pattern,
            incident=branch.incident,
            hash=branch_of(hash, word),
            base=hash,
            word=word,
            version=branch.version,
            confidence=branch.confidence,
            is_taught=branch.is_taught,
        )
        for word in words[1:]
    ]


def _texts(row: PatternSignature, hash: str) -> list[str]:
    """What the newest failures of a pattern said that are signed so now, and what the row's own said."""
    matches = PatternMatch.objects.standing().filter(pattern=row.pattern_id).order_by("-id")
    told = [match.incident for match in matches.select_related("incident")[:EXAMPLES]]
    same = [each for each in told if sign(each).hash == hash]
    return [each.message for each in ([row.incident] if row.incident else []) + same]


def sign(told: Incident) -> Signature:
    """What stays the same when this failure happens again."""
    return signature(told.error_type, told.tool, told.message, told.context)


def _successor(row: PatternSignature, made: Signature) -> PatternSignature:
    """As sure as the row before; of the pattern's own template it is sure."""
    return PatternSignature(
        pattern=row.pattern,
        incident=row.incident,
        hash=branch_of(made.hash, row.word) if row.word else made.hash,
        base=made.hash if row.word else "",
        word=row.word,
        version=made.version,
        confidence=row.confidence if row.incident_id else 1.0,
        is_taught=row.is_taught,
    )


def _say_successors(
    rows: Sequence[PatternSignature], successors: Sequence[PatternSignature]
) -> None:
    with connection.cursor() as cursor:
        cursor.execute(
            "UPDATE catalog_patternsignature SET successor = said.hash "
            "FROM unnest(%s::text[], %s::text[]) AS said (id, hash) "
            "WHERE catalog_patternsignature.tenant_id = %s AND catalog_patternsignature.id = said.id",
            [[row.id for row in rows], [each.hash for each in successors], IN_SCOPE],
        )


def _renew_patterns(rows: Iterable[PatternSignature], made: Iterable[Signature]) -> None:
    """Give each pattern the template that its first failure has now, with values where others had other names."""
    patterns: dict[str, Pattern] = {}
    for row, again in zip(rows, made, strict=True):
        pattern = patterns.setdefault(row.pattern_id, row.pattern)
        if pattern.signature_version < again.version:
            pattern.template, pattern.frames = again.template, list(again.frames)
            pattern.error_type, pattern.tool = again.error_type, again.tool
            pattern.signature_version = again.version
            if pattern.signature == row.hash:
                pattern.signature = again.hash
        else:
            pattern.template = refined(pattern.template, shape_of(pattern.template), again)
    wanted = [pattern.signature for pattern in patterns.values()]
    taken = dict(Pattern.objects.filter(signature__in=wanted).values_list("signature", "id"))
    kept = [
        pattern
        for pattern in patterns.values()
        if taken.setdefault(pattern.signature, pattern.id) == pattern.id
    ]
    others = [pattern for pattern in patterns.values() if pattern not in kept]
    fields = ["template", "frames", "error_type", "tool", "signature_version"]
    Pattern.objects.bulk_update(kept, [*fields, "signature"])
    Pattern.objects.bulk_update(others, fields)
    ledger.append_all(
        ledger.Entry("pattern.signed_again", each.id, LOOP, facts={"version": SIGNATURE_VERSION})
        for each in patterns.values()
    )
