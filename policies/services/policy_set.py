"""The number of a tenant's policy set: how every guard learns that something changed."""

from __future__ import annotations

from django.db.models import F

from policies.models import PolicySet


def bump() -> None:
    """Raise the revision, in the transaction of a change that the guard must see.

    The row stays locked until that transaction ends, so revisions rise in the order of the commits. Call it
    after locking whatever policies the transaction changes, or two of them could wait for each other.
    """
    if not _raise():
        PolicySet.objects.bulk_create([PolicySet()], ignore_conflicts=True)
        _raise()


def revision() -> int:
    """The revision in force; 0 before the first policy."""
    return PolicySet.objects.values_list("revision", flat=True).first() or 0


def _raise() -> int:
    return PolicySet.objects.update(revision=F("revision") + 1)
