"""The verbs of the catalogue: match incidents, trust a recovery, learn from people, take over a catalogue."""

from .explaining import Reasons, compared, explained, reasons, reasons_of, told
from .exporting import Exported, export
from .importing import MOST_TOLD, Plan, import_catalog, plan
from .matching import (
    NothingToMatch,
    match_incident,
    match_incidents,
    matches_of,
    recognise,
)
from .occurrences import COUNTED, LOOKED_AT, Affected, PerDay, affected_by, per_day
from .patterns import pattern_story, rename, set_auto_apply, set_thresholds, story
from .placing import families_of, family_of, standing_of
from .renewal import renew_some
from .silencing import count_silenced, heed, silence, silenced_of
from .similar import Similar, similar_to
from .teaching import merge, move, split, taught
from .undoing import undo

__all__ = [
    "COUNTED",
    "LOOKED_AT",
    "MOST_TOLD",
    "Affected",
    "Exported",
    "NothingToMatch",
    "PerDay",
    "Plan",
    "Reasons",
    "Similar",
    "affected_by",
    "compared",
    "count_silenced",
    "explained",
    "export",
    "families_of",
    "family_of",
    "heed",
    "import_catalog",
    "match_incident",
    "match_incidents",
    "matches_of",
    "merge",
    "move",
    "pattern_story",
    "per_day",
    "plan",
    "reasons",
    "reasons_of",
    "recognise",
    "rename",
    "renew_some",
    "set_auto_apply",
    "set_thresholds",
    "silence",
    "silenced_of",
    "similar_to",
    "split",
    "standing_of",
    "story",
    "taught",
    "told",
    "undo",
]
