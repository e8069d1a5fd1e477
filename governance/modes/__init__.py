"""Modes: what holds for all of a tenant's agents at once, whatever the policies say.

Strongest first: **agent_stop** (every action gets kill), **bypass** (governing is off: every action is allowed, and
recorded with what the answer would have been), **degraded** (no new runs, running ones are warned). All of it is
rows of PostgreSQL, read anew for every decision: it holds from the next one on, in every process, with or without
Redis. ``current.py`` is what a decision reads, ``product.py`` what people are shown, the others are verbs.
"""
