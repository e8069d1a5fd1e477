"""What becomes of each thing that is done here when something it stands on fails: one table, and nothing but a table.

The page, the document and the test that breaks each for real are made from it. SPINE decides whether something may
happen, and on any doubt says no; an EVENT tells that something happened, and is never lost for the sake of an answer.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from enum import Enum, StrEnum


class Kind(StrEnum):
    """Why somebody waits for it."""

    SPINE = "spine"
    EVENT = "event"
    PERSON = "person"
    BACKGROUND = "background"


class Op(Enum):
    """What is done: its name, its kind, and how it is asked for."""

    DECIDE = ("an agent asks before it acts", Kind.SPINE, "POST guard/decisions")
    BEGIN = ("a run begins", Kind.SPINE, "POST guard/decisions, the first of a run")
    SIMULATE = ("an action is tried out", Kind.SPINE, "POST guard/simulate")
    OUTCOME = ("an agent reports how it went", Kind.EVENT, "POST guard/outcomes")
    INCIDENT = ("a failure is reported", Kind.EVENT, "POST incidents")
    APPEAL = ("an agent appeals", Kind.EVENT, "POST guard/decisions/{id}/appeal")
    CHECKPOINT = ("a person decides a checkpoint", Kind.PERSON, "POST checkpoints/{id}/approve")
    STOP = ("a person stops agents", Kind.PERSON, "POST ops/agent-stop")
    PAGE = ("a page is read", Kind.PERSON, "/console/, /admin/")
    STREAM = ("a story is followed live", Kind.BACKGROUND, "GET integration/loop/{id}/stream")
    LOOP = ("a failure goes through the loop", Kind.BACKGROUND, "sweeper and workers")
    READYZ = ("somebody asks whether it is ready", Kind.BACKGROUND, "GET /readyz")

    def __init__(self, title: str, kind: Kind, how: str) -> None:
        self.title, self.kind, self.how = title, kind, how


class Outcome(Enum):
    """What happens then: the word in the table, what it means, and the most seconds until there is an answer."""

    USUAL = ("as usual", "Nothing changes.", None)
    NO = (
        "no",
        (
            "503 governance_unavailable with verdict block and Retry-After; the agent must not act. Nothing is recorded, unless the"
            " time ran out while the record was being committed: then it may stand."
        ),
        0.3,
    )
    AGAIN = (
        "again",
        "503 with Retry-After, and nothing is kept: it is sent again, and with the same key counts once.",
        1.1,
    )
    AWAY = (
        "away",
        "503, a page or a problem that says why; nothing has happened, and it may be done again.",
        10.1,
    )
    LATER = (
        "later",
        "It waits, is kept, and goes on by itself from where it was once the cause is gone.",
        None,
    )
    POLLED = (
        "a second late",
        "It is read from the database once a second instead of being told at once; nothing is missed.",
        None,
    )
    BROKEN_OFF = (
        "broken off",
        "The stream ends; whoever follows comes back with Last-Event-ID and is sent what he missed.",
        None,
    )
    WITHOUT = (
        "without it",
        "The usual remedy is suggested in the model's place, and the story says so.",
        None,
    )
    RETRIED = (
        "tried again",
        "Called again with the same id, up to five times; then the loop stops there and a person may apply it again.",
        None,
    )
    TOLD = ("told", "503, and the name of the check that fails.", 3.0)
    WARNED = ("warned", "200, with a warning: what is missing can be done without.", 3.0)

    def __init__(self, word: str, meaning: str, seconds: float | None) -> None:
        self.word, self.meaning, self.seconds = word, meaning, seconds


@dataclass(frozen=True, slots=True)
class Fault:
    """One thing that fails, and how soon it is noticed.

    ``check`` is the check of readiness that fails and names it, ``warning`` the one that only warns; empty where none does.
    """

    name: str
    title: str
    noticed: str
    check: str = ""
    warning: str = ""


AT_ONCE = "at once"
BY_LOOKING = "within 30 s: a check finds it"

FAULTS = (
    Fault("postgresql_down", "PostgreSQL is down", AT_ONCE, "database"),
    Fault(
        "postgresql_silent",
        "PostgreSQL is there and says nothing (stopped, or the network swallows it)",
        AT_ONCE,
        "database",
    ),
    Fault("postgresql_slow", "PostgreSQL takes 0.2 s for each answer", AT_ONCE),
    Fault("postgresql_locked", "somebody holds the tables of decisions and reports", AT_ONCE),
    Fault("postgresql_read_only", "PostgreSQL takes no writes", AT_ONCE, "writable"),
    Fault("postgresql_lenient", "the app's login may pass row-level security", BY_LOOKING, "role"),
    Fault("redis_down", "Redis is down: broker and live channel", AT_ONCE, warning="broker"),
    Fault("redis_silent", "Redis is there and says nothing", AT_ONCE, warning="broker"),
    Fault("redis_flushed", "Redis has forgotten everything", AT_ONCE),
    Fault("model_down", "the language model is down", AT_ONCE),
    Fault(
        "model_slow", "the language model sends a byte now and then", "after LLM_TIMEOUT_SECONDS"
    ),
    Fault("model_junk", "the language model answers nonsense", AT_ONCE),
    Fault("receiver_down", "a webhook's receiver is down", AT_ONCE),
    Fault(
        "sweeper_down", "no sweeper runs", "within 60 s: a check misses its sign of life", "sweeper"
    ),
    Fault(
        "beat_down",
        "beat is down: nothing expires or decays on time",
        "within 4 min: a check misses its sign of life",
        warning="beat",
    ),
    Fault(
        "signer_down",
        "the signer is down, and there are entries to sign",
        "within 60 s: a check finds entries that wait for their signature",
        "ledger_checkpoint",
    ),
    Fault(
        "clocks_apart",
        "our clock and the database's are a minute apart",
        "at start, then within 30 s",
        "clock",
    ),
)

U, NO, AGAIN, AWAY, LATER = Outcome.USUAL, Outcome.NO, Outcome.AGAIN, Outcome.AWAY, Outcome.LATER
POLLED, TOLD, WARNED = Outcome.POLLED, Outcome.TOLD, Outcome.WARNED
BROKEN, WITHOUT, RETRIED = Outcome.BROKEN_OFF, Outcome.WITHOUT, Outcome.RETRIED

# One line a fault; the operations in their order: decide, begin, simulate | outcome, incident, appeal | checkpoint,
# stop, page | stream, loop, readyz.
_LINES: Mapping[str, tuple[Outcome, ...]] = {
    "postgresql_down": (NO, NO, NO, AGAIN, AGAIN, AGAIN, AWAY, AWAY, AWAY, BROKEN, LATER, TOLD),
    "postgresql_silent": (NO, NO, NO, AGAIN, AGAIN, AGAIN, AWAY, AWAY, AWAY, LATER, LATER, TOLD),
    "postgresql_slow": (NO, NO, NO, AGAIN, AGAIN, AGAIN, U, U, U, U, U, U),
    "postgresql_locked": (NO, NO, U, AGAIN, AGAIN, U, U, U, U, U, LATER, U),
    "postgresql_read_only": (NO, NO, NO, AGAIN, AGAIN, AGAIN, AWAY, AWAY, U, U, LATER, TOLD),
    "postgresql_lenient": (NO, NO, NO, U, U, U, U, U, U, U, U, TOLD),
    "redis_down": (U, U, U, U, U, U, U, U, U, POLLED, U, WARNED),
    "redis_silent": (U, U, U, U, U, U, U, U, U, POLLED, U, WARNED),
    "redis_flushed": (U, U, U, U, U, U, U, U, U, U, U, U),
    "model_down": (U, U, U, U, U, U, U, U, U, U, WITHOUT, U),
    "model_slow": (U, U, U, U, U, U, U, U, U, U, WITHOUT, U),
    "model_junk": (U, U, U, U, U, U, U, U, U, U, WITHOUT, U),
    "receiver_down": (U, U, U, U, U, U, U, U, U, U, RETRIED, U),
    "sweeper_down": (NO, NO, NO, U, U, U, U, U, U, U, LATER, TOLD),
    "beat_down": (U, U, U, U, U, U, U, U, U, U, U, WARNED),
    "signer_down": (NO, NO, NO, U, U, U, U, U, U, U, U, TOLD),
    "clocks_apart": (NO, NO, NO, U, U, U, U, U, U, U, U, TOLD),
}

TABLE: Mapping[str, Mapping[Op, Outcome]] = {
    name: dict(zip(Op, line, strict=True)) for name, line in _LINES.items()
}
