"""``bench match``: what it costs to recognise a failure, beside few patterns and many, and beside Drain3.

The matcher is the product's, on its database: incidents one by one, a transaction each, and in batches of forty as the
loop takes them, every tenth to be compared. Drain3 and ours in memory then get the same messages in one run.
"""

from __future__ import annotations

import json
import random
import resource
import subprocess
import tempfile
import time
from collections.abc import Callable, Iterable, Sequence
from dataclasses import asdict
from itertools import islice
from pathlib import Path
from statistics import fmean
from typing import Any, NamedTuple

from catalog.models import Pattern, PatternKey, PatternSignature
from catalog.rules import Signature, keys_of, signature
from catalog.rules.measures import grouping
from catalog.rules.stream import Catalogue
from catalog.services import match_incident, match_incidents
from governance import tenants
from governance.actors import COMMAND
from governance.database.inserts import insert
from governance.database.tenancy import tenant_scope
from governance.identity import register_agent
from governance.models import Agent, Tenant
from incidents.models import Incident

from .environments import CannotRun, python_with
from .failures import Kind, kinds
from .race import ROOT, Observer, percentiles

DRAIN3 = "drain3==0.9.11"  # whose defaults the published figures are of

FEW, MANY = 1_000, 100_000
WANTED_MS = {FEW: 2.0, MANY: 4.0}  # p95 of one incident
WANTED_PER_SECOND = 3_000
WANTED_GROWTH_MB = 16.0

TIMED = 400  # incidents of each sort, one by one
WARM = 20  # before the clock counts, so that statements are prepared
BATCH = 40  # as the loop takes them
UNKNOWN = 4  # of a batch: failures that have to be compared
CHUNK = 2_000
MESSAGES = 20_000
MESSAGE_KINDS = 500
SEED = 7

Say = Callable[[str], None]


def measure(*, file: Path | None, say: Say) -> dict[str, Any]:
    """The figures, with ``failed`` naming what is not as wanted."""
    found: dict[str, Any] = {"signatures": _signatures(), "beside": {}}
    tenant = tenants.make_tenant("bench")
    with tenant_scope(tenant.id):
        agent = register_agent("scout", actor=COMMAND)
    all_kinds = kinds(MANY + 2 * TIMED)
    stored: list[Kind] = []
    for count in (FEW, MANY):
        say(f"{count} patterns…\n")
        more = list(islice(all_kinds, count - len(stored)))
        _store(tenant, more)
        stored += more
        _settle(tenant, agent, stored)
        found["beside"][str(count)] = _beside(tenant, agent, stored, list(islice(all_kinds, TIMED)))
    found["memory_growth_mb"] = _memory(tenant, agent, stored)
    say("Drain3…\n")
    found |= _rivals(file)
    wanted = {f"p95_ms_{count}": limit for count, limit in WANTED_MS.items()}
    found["wanted"] = {
        **wanted,
        "signatures_per_second": WANTED_PER_SECOND,
        "memory_growth_mb": WANTED_GROWTH_MB,
    }
    found["failed"] = list(_failed(found))
    return found


def _failed(found: dict[str, Any]) -> Iterable[str]:
    for count, limit in WANTED_MS.items():
        for sort in ("known", "mixed_in_batches"):
            if found["beside"][str(count)][sort]["p95"] > limit:
                yield f"p95 of {sort} beside {count} patterns"
    if found["signatures"]["per_second"] < WANTED_PER_SECOND:
        yield "signatures"
    if found["memory_growth_mb"] > WANTED_GROWTH_MB:
        yield "memory"


def _signatures() -> dict[str, Any]:
    """How many signatures one core makes in a second, of messages that it has not seen."""
    chance = random.Random(SEED)  # noqa: S311 - the same messages every time
    said = list(kinds(MESSAGE_KINDS))
    messages = [chance.choice(said).message(chance) for _ in range(MESSAGES)]
    signature("", "", messages[0])
    began = time.process_time()
    for message in messages:
        signature("ToolError", "book", message)
    seconds = time.process_time() - began
    return {"per_second": round(len(messages) / seconds), "messages": len(messages)}


def _store(tenant: Tenant, more: Sequence[Kind]) -> None:
    """Patterns of these kinds, as the matcher would have written them, without their incidents."""
    chance = random.Random(SEED)  # noqa: S311
    rest = iter(more)
    while chunk := list(islice(rest, CHUNK)):
        made = [signature("ToolError", each.tool, each.message(chance)) for each in chunk]
        with tenant_scope(tenant.id):
            _keep(made)


def _settle(tenant: Tenant, agent: Agent, stored: Sequence[Kind]) -> None:
    """Some of these fail, and the statistics are as autovacuum keeps them."""
    chance = random.Random(SEED)  # noqa: S311
    told = [(each.tool, each.message(chance)) for each in chance.choices(stored, k=TIMED)]
    _timed(tenant, _reported(tenant, agent, told))
    with Observer(tenant.id) as observer:
        observer.tidy()


def _keep(made: Sequence[Signature]) -> None:
    patterns = [
        Pattern(
            name=each.template[:300],
            error_type=each.error_type,
            tool=each.tool,
            template=each.template,
            signature=each.hash,
            signature_version=each.version,
        )
        for each in made
    ]
    insert(patterns)
    pairs = list(zip(patterns, made, strict=True))
    insert(
        PatternSignature(pattern=pattern, hash=each.hash, version=each.version, confidence=1.0)
        for pattern, each in pairs
    )
    insert(PatternKey(key=key, pattern=pattern) for pattern, each in pairs for key in keys_of(each))


def _beside(
    tenant: Tenant, agent: Agent, stored: Sequence[Kind], new: Sequence[Kind]
) -> dict[str, Any]:
    """Milliseconds for one incident: known, alike (another tool, so it is compared), and new."""
    chance = random.Random(SEED + len(stored))  # noqa: S311
    # A name that was not there before has to be compared: such kinds are in the batches.
    nameless = [each for each in stored if "{user}" not in each.form]
    known = chance.choices(nameless, k=TIMED)
    alike = [chance.choice(stored) for _ in range(TIMED)]
    sorts = {
        "known": [(each.tool, each.message(chance)) for each in known],
        "alike": [(f"{each.tool}_again", each.message(chance)) for each in alike],
        "new": [(each.tool, each.message(chance)) for each in new],
    }
    figures: dict[str, Any] = {}
    for sort, told in sorts.items():
        incidents = _reported(tenant, agent, told)
        figures[sort] = percentiles([_timed(tenant, [each]) for each in incidents[WARM:]])
    mixed = [
        [(f"{each.tool}_later", each.message(chance)) for each in chance.sample(stored, UNKNOWN)]
        + [(each.tool, each.message(chance)) for each in chance.choices(stored, k=BATCH - UNKNOWN)]
        for _ in range(TIMED // BATCH * 2)
    ]
    batches = [_reported(tenant, agent, told) for told in mixed]
    figures["mixed_in_batches"] = percentiles([_timed(tenant, batch) / BATCH for batch in batches])
    return figures


def _reported(tenant: Tenant, agent: Agent, told: Sequence[tuple[str, str]]) -> list[Incident]:
    with tenant_scope(tenant.id):
        return Incident.objects.bulk_create(
            Incident(
                agent=agent,
                error_type="ToolError",
                tool=tool,
                message=message,
                category=Incident.Category.OPERATIONAL,
                severity=Incident.Severity.LOW,
                source="bench",
            )
            for tool, message in told
        )


def _timed(tenant: Tenant, incidents: Sequence[Incident]) -> float:
    """Milliseconds until the matches are committed."""
    began = time.perf_counter()
    with tenant_scope(tenant.id):
        if len(incidents) == 1:
            match_incident(incidents[0])
        else:
            match_incidents(incidents)
    return (time.perf_counter() - began) * 1_000


def _memory(tenant: Tenant, agent: Agent, stored: Sequence[Kind]) -> float:
    """By how many megabytes the process grew over thousands of matches, once it was warm."""
    chance = random.Random(SEED)  # noqa: S311
    peaks = []
    for _ in range(2):
        for _ in range(10):
            told = [(each.tool, each.message(chance)) for each in chance.choices(stored, k=500)]
            _timed(tenant, _reported(tenant, agent, told))
        peaks.append(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1_024)
    return round(peaks[1] - peaks[0], 1)


def _rivals(file: Path | None) -> dict[str, Any]:
    """Ours and Drain3's on the same messages: the true kinds found, and messages in a second of CPU."""
    systems = _systems(file)
    found: dict[str, Any] = {"ours": _mean([_ours(each) for each in systems])}
    try:
        found["drain3"] = _mean([_drain3(each) for each in systems])
    except CannotRun as why:
        return {"systems": found, "left_out": {"drain3": str(why)}, "ratios": {"drain3": None}}
    ratio = found["ours"]["per_second"] / found["drain3"]["per_second"]
    return {"systems": found, "ratios": {"drain3": round(ratio, 2)}}


class Message(NamedTuple):
    """A message, the tool that said it, and its true kind."""

    tool: str
    text: str
    kind: str


def _systems(file: Path | None) -> list[list[Message]]:
    """The messages of each system: of a file of labelled log lines, or made up (alike on purpose)."""
    if file is None:
        chance = random.Random(SEED)  # noqa: S311
        some = list(kinds(MESSAGE_KINDS))
        drawn = (chance.choice(some) for _ in range(MESSAGES))
        return [[Message(each.tool, each.message(chance), str(each.number)) for each in drawn]]
    systems: dict[str, list[Message]] = {}
    with file.open("rb") as lines:
        for row in map(json.loads, lines):
            said = Message(row["system"], row["content"], row["event"])
            systems.setdefault(row["system"], []).append(said)
    return list(systems.values())


def _ours(messages: Sequence[Message]) -> dict[str, Any]:
    catalogue = Catalogue()
    began = time.process_time()
    placed = [catalogue.place(signature("", each.tool, each.text)).pattern for each in messages]
    return _figures(placed, messages, time.process_time() - began)


def _drain3(messages: Sequence[Message]) -> dict[str, Any]:
    """At its defaults, a miner for each system."""
    python = python_with(DRAIN3)
    with tempfile.NamedTemporaryFile("w", suffix=".json") as file:
        json.dump([each.text for each in messages], file)
        file.flush()
        program = Path(ROOT) / "config" / "bench" / "programs" / "drain3_miner.py"
        ran = subprocess.run(  # noqa: S603 - our own words
            [python, program, file.name], capture_output=True, text=True, check=True
        )
    said = json.loads(ran.stdout.splitlines()[-1])
    return _figures(said["clusters"], messages, said["seconds"])


def _figures(placed: Sequence[Any], messages: Sequence[Message], seconds: float) -> dict[str, Any]:
    found = grouping(placed, [each.kind for each in messages])
    return {"messages": len(messages), "seconds": seconds, **asdict(found)}


def _mean(systems: Sequence[dict[str, Any]]) -> dict[str, Any]:
    """Means over systems, and all their messages in a second."""
    count = sum(each["messages"] for each in systems)
    return {
        "messages": count,
        "per_second": round(count / sum(each["seconds"] for each in systems)),
        **{
            name: round(fmean(each[name] for each in systems), 4)
            for name in ("ga", "precision", "recall")
        },
    }
