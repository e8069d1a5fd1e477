"""The loop, read first: the bridges in order, and what a decided checkpoint does."""

BRIDGES: tuple = ()
DECISIONS: dict = {}
