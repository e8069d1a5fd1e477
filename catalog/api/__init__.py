"""The catalogue over HTTP."""

from .patterns import MatchViewSet, PatternViewSet

__all__ = ["MatchViewSet", "PatternViewSet"]
