"""What is believed of a report."""

from datetime import datetime, timedelta

# Clocks of agents differ and time zones are mistaken, but by no more than this.
MOST_AHEAD = timedelta(days=1)


def is_plausible(occurred_at: datetime, now: datetime) -> bool:
    """Whether something can have occurred then, as far as clocks can be trusted; any past is possible."""
    return occurred_at - now <= MOST_AHEAD
