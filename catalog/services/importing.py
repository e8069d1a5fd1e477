"""A catalogue from a file into a tenant's: what it would bring, and, when a person says so, that.

What is known here stays as it is. A pattern is known by its signature, else by the one pattern that all of its known
signatures are of; then it gains the signatures that are new here. A signature that is another pattern's here stays
that one's, and is told as a conflict. Importing the same file again brings nothing.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import chain
from typing import Any, TypeVar

from governance import ledger
from governance.actors import Actor
from governance.database.inserts import insert
from governance.database.tenancy import required_tenant
from governance.ids import new_id
from governance.refusals import Conflict, Forbidden, Invalid

from ..models import Pattern, PatternKey, PatternSignature
from ..rules import keys_of
from ..rules.exchange import KnownPattern, KnownSignature, read, read_patterns
from .exporting import pieces
from .recognition import signature_at
from .renewal import hold_newcomers

BATCH = 1_000
MOST_TOLD = 200
"""Patterns and clashes of a plan that are listed to people; all are counted."""
Item = TypeVar("Item")


@dataclass(frozen=True, slots=True)
class Clash:
    """A signature that the file says is of one pattern, and that is another's here, where it stays."""

    hash: str
    there: str  # the name in the file
    here: str  # the pattern's id here


@dataclass(frozen=True, slots=True)
class Bringing:
    """What the file brings for one of its patterns: the pattern itself where ``pattern_id`` is empty, and signatures."""

    said: KnownPattern
    pattern_id: str
    signatures: tuple[KnownSignature, ...]


@dataclass(frozen=True, slots=True)
class Plan:
    """What importing a file would do now. ``digest`` stands for all of it, so that what is done is what was shown."""

    hash: str
    new: tuple[Bringing, ...]
    extended: tuple[Bringing, ...]
    unchanged: int
    clashes: tuple[Clash, ...]

    @property
    def signatures(self) -> int:
        """How many signatures would be added."""
        return sum(len(each.signatures) for each in (*self.new, *self.extended))

    @property
    def known(self) -> int:
        """How many of the file's patterns are known here already."""
        return len(self.extended) + self.unchanged

    @property
    def digest(self) -> str:
        brings = [
            [each.said.signature, each.pattern_id, [one.hash for one in each.signatures]]
            for each in (*self.new, *self.extended)
        ]
        clashes = [[each.hash, each.here] for each in self.clashes]
        return ledger.digest({"file": self.hash, "brings": brings, "clashes": clashes})


def plan(file: Any) -> Plan:
    """What importing a file (its JSON value) would do; changes nothing. Raises Invalid, naming the field."""
    content, claimed = read(file)
    patterns = list(read_patterns(content))
    if _hash_of(content) != claimed:
        raise Invalid(
            "catalog.hash: it is not that of the content: the file was changed, or is not whole.",
            field="catalog.hash",
        )
    here = _here(chain.from_iterable(map(_hashes, patterns)))
    brings = [(_brings(each, here)) for each in patterns]
    return Plan(
        claimed,
        new=tuple(each for each in brings if not each.pattern_id),
        extended=tuple(each for each in brings if each.pattern_id and each.signatures),
        unchanged=sum(bool(each.pattern_id) and not each.signatures for each in brings),
        clashes=tuple(
            Clash(hash, each.said.name, here[hash])
            for each in brings
            for hash in _hashes(each.said)
            if here.get(hash, each.pattern_id) != each.pattern_id
        ),
    )


def import_catalog(file: Any, *, actor: Actor, reason: str, shown: str = "") -> Plan:
    """Take a file's patterns and signatures over, and answer with what that was.

    Who meets an unknown failure meanwhile waits. Raises Invalid for a file that cannot be taken and without a reason,
    Forbidden for who is not a person, Conflict where ``shown``, the digest of a plan, is no longer what would be done.
    """
    if not actor.is_person:
        raise Forbidden("Only a person can take over a catalogue.")
    if not reason.strip():
        raise Invalid("Say why.", field="reason")
    hold_newcomers()
    found = plan(file)
    if shown and shown != found.digest:
        raise Conflict("The file, or the catalogue here, is not what was shown: look at it again.")
    if not found.new and not found.extended:
        return found
    opened = {each.said.signature: _opened(each.said) for each in found.new}
    for batch in _batches([*found.new, *found.extended]):
        _write(batch, opened, found.hash, actor)
    _merge(found.new, opened)
    ledger.append(
        "catalog.imported",
        required_tenant(),
        actor=actor,
        reason=reason,
        file=found.hash,
        new=len(found.new),
        extended=len(found.extended),
        signatures=found.signatures,
        clashes=len(found.clashes),
    )
    return found


def _hash_of(content: Mapping[str, Any]) -> str:
    digest = hashlib.sha256()
    for piece in pieces(content["patterns"]):
        digest.update(piece)
    return digest.hexdigest()


def _hashes(pattern: KnownPattern) -> list[str]:
    return list(dict.fromkeys([pattern.signature, *(one.hash for one in pattern.signatures)]))


def _here(hashes: Iterable[str]) -> dict[str, str]:
    """Of these hashes those that are known here, with the pattern that each is of."""
    found: dict[str, str] = {}
    for batch in _batches(list(hashes)):
        own = Pattern.objects.filter(signature__in=batch).values_list("signature", "id")
        signed = PatternSignature.objects.filter(hash__in=batch).values_list("hash", "pattern_id")
        # How a failure is recognised is said by signatures; a pattern's own may have gone to another.
        found |= dict(own) | dict(signed)
    return found


def _brings(said: KnownPattern, here: Mapping[str, str]) -> Bringing:
    known = {here[hash] for hash in _hashes(said) if hash in here}
    target = here.get(said.signature) or (known.pop() if len(known) == 1 else "")
    fresh = tuple(each for each in said.signatures if each.hash not in here)
    return Bringing(said, target, fresh)


def _opened(said: KnownPattern) -> Pattern:
    return Pattern(
        id=new_id("pat"),
        name=" ".join(said.name.split()),
        error_type=said.error_type,
        tool=said.tool,
        template=said.template,
        frames=list(said.frames),
        signature=said.signature,
        signature_version=said.signature_version,
        strong_above=said.strong_above,
        weak_from=said.weak_from,
    )


def _write(
    batch: Sequence[Bringing], opened: Mapping[str, Pattern], file: str, actor: Actor
) -> None:
    """Patterns, signatures, keys and entries: a statement each."""
    extended = Pattern.objects.in_bulk([each.pattern_id for each in batch if each.pattern_id])
    targets = [extended.get(each.pattern_id) or opened[each.said.signature] for each in batch]
    insert(target for target, each in zip(targets, batch, strict=True) if not each.pattern_id)
    insert(
        PatternSignature(
            pattern=target,
            hash=one.hash,
            version=one.version,
            confidence=one.confidence,
            is_taught=one.is_taught,
            base=one.base,
            word=one.word,
        )
        for target, each in zip(targets, batch, strict=True)
        for one in each.signatures
    )
    bases = {one.base for each in batch for one in each.signatures if one.base}
    PatternSignature.objects.filter(hash__in=bases).update(is_forked=True)
    insert(
        (
            PatternKey(key=key, pattern=target)
            for target, each in zip(targets, batch, strict=True)
            for key in keys_of(signature_at(_opened(each.said)))
        ),
        ignore_conflicts=True,
    )
    ledger.append_all(
        ledger.Entry(
            "pattern.extended" if each.pattern_id else "pattern.imported",
            target.id,
            actor,
            facts={"file": file, "signatures": len(each.signatures)},
        )
        for target, each in zip(targets, batch, strict=True)
    )


def _merge(new: Sequence[Bringing], opened: Mapping[str, Pattern]) -> None:
    """What is new here and was merged into another pattern there is so here too; what is known here stays apart."""
    merged = {each.said.signature: each.said.merged_into for each in new if each.said.merged_into}
    here = _here(merged.values())
    roots = Pattern.objects.in_bulk(set(here.values()))
    members: dict[str, list[str]] = {}
    for signature, into in merged.items():
        if into in here:
            root = roots[here[into]]
            members.setdefault(root.root_id or root.id, []).append(opened[signature].id)
    for root_id, ids in members.items():
        Pattern.objects.filter(pk__in=ids).update(root=root_id)
        held = Pattern.objects.get(pk=root_id)
        held.members = [*held.members, *ids]
        held.save(update_fields=["members"])


def _batches(items: Sequence[Item]) -> Iterator[Sequence[Item]]:
    for at in range(0, len(items), BATCH):
        yield items[at : at + BATCH]
