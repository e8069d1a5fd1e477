"""Which verb does which kind of fault. A new kind is a line here, and a place in the forms of ``faults.py``."""

from __future__ import annotations

from collections.abc import Callable, Mapping

from ..faults import Fault, Kind
from ..site import Site
from . import callers, processes, stores

BREAKS: Mapping[Kind, Callable[[Site, Fault], None]] = {
    Kind.POISON_ERROR: callers.feed_poison,
    Kind.POISON_MEMORY: callers.feed_poison,
    Kind.POISON_KILLED: callers.feed_poison,
    Kind.POISON_ENDLESS: callers.feed_poison,
    Kind.DIE_AT_POINTS: processes.die_at_points,
    Kind.KILL_WORKER: processes.kill,
    Kind.KILL_SWEEPER: processes.kill,
    Kind.KILL_WEB: processes.kill,
    Kind.KILL_SIGNER: processes.kill,
    Kind.KILL_WHOLE: processes.kill,
    Kind.FREEZE_SWEEPER: processes.freeze_sweeper,
    Kind.TWO_SWEEPERS: processes.two_sweepers,
    Kind.TWO_BEATS: processes.two_beats,
    Kind.JUMP_CLOCK: processes.jump_clock,
    Kind.STOP_BROKER: stores.stop_broker,
    Kind.SILENCE_BROKER: stores.silence_broker,
    Kind.FLUSH_BROKER: stores.flush_broker,
    Kind.MISLEAD: stores.mislead,
    Kind.LOSE_CHANNEL: stores.lose_channel,
    Kind.KILL_POSTGRES: stores.break_postgres,
    Kind.STOP_POSTGRES: stores.break_postgres,
    Kind.RESTORE: stores.take_backup,
    Kind.HOSTILE_BODIES: callers.attack,
    Kind.RACE_DECISIONS: callers.attack,
    Kind.RACE_PATTERNS: callers.attack,
    Kind.OUTSIDE_HANGS: callers.spoil_the_outside,
    Kind.OUTSIDE_DRIPS: callers.spoil_the_outside,
    Kind.OUTSIDE_FAILS: callers.spoil_the_outside,
    Kind.OUTSIDE_JUNK: callers.spoil_the_outside,
}
