"""How often an incident was reported again."""

from __future__ import annotations

from django.db import connection

from governance.database.scoped import IN_SCOPE
from governance.ids import new_id

from ..models import Incident

# The row's lock is the queue of those who count at once; none of them reads what it adds to.
_COUNT = """
INSERT INTO incidents_repeats AS kept (tenant_id, id, incident_id, count, last_at)
VALUES (%s, %s, %s, 1, clock_timestamp())
    ON CONFLICT (tenant_id, incident_id) DO UPDATE
   SET count = kept.count + 1, last_at = greatest(kept.last_at, excluded.last_at)
"""


def count_repeat(incident: Incident) -> None:
    """Remember that it was reported once more, in the report's transaction; nothing is written for a first report."""
    with connection.cursor() as cursor:
        cursor.execute(_COUNT, [IN_SCOPE, new_id("rpt"), incident.id])
