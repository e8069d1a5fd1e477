"""The verbs of incidents."""

from .alerts import acknowledge_alert, end_alert, end_known, raise_alert
from .cascades import Link, report_cascade
from .handling import acknowledge, reopen, resolve
from .reporting import Opened, newest_trace, report

__all__ = [
    "Link",
    "Opened",
    "acknowledge",
    "acknowledge_alert",
    "end_alert",
    "end_known",
    "newest_trace",
    "raise_alert",
    "reopen",
    "report",
    "report_cascade",
    "resolve",
]
