"""The verbs of the catalogue: match incidents, trust a pattern's recovery, rename a pattern."""

from .matching import (
    NothingToMatch,
    match_incident,
    match_incidents,
    matches_of,
    recognise,
)
from .patterns import pattern_story, rename, set_auto_apply, story

__all__ = [
    "NothingToMatch",
    "match_incident",
    "match_incidents",
    "matches_of",
    "pattern_story",
    "recognise",
    "rename",
    "set_auto_apply",
    "story",
]
