"""How far an incident came: what the steps above found, as it is now."""

from __future__ import annotations

from typing import Any

from governance.story.hooks import record
from governance.story.progress import details

from .services import newest_trace

# The parts of a story, and the fact of the loop that names the record of each.
FACTS = {
    "match": "match_id",
    "recovery": "recovery_id",
    "policy": "policy_id",
    "adjustment": "adjustment_id",
}


def story_of(incident_id: str) -> dict[str, Any]:
    """{match, recovery, policy, adjustment} of the incident's newest loop, each None until it is there.

    The loop's facts say which records; those who keep them say what they are like now.
    """
    facts = details(list(newest_trace(incident_id).steps.all()))
    return {part: record(part, facts.get(fact)) for part, fact in FACTS.items()}
