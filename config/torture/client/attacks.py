"""Every attack by the name that the torture calls it by."""

from __future__ import annotations

from .attack import Verb
from .bodies import feed_poison, send_hostile_bodies
from .following import follow_without_the_channel
from .races import hold_questions, race_decisions, race_patterns

ATTACKS: dict[str, Verb] = {
    "poison": feed_poison,
    "race_patterns": race_patterns,
    "race_decisions": race_decisions,
    "hostile_bodies": send_hostile_bodies,
    "hold_questions": hold_questions,
    "follow": follow_without_the_channel,
}
