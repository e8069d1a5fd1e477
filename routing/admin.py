"""The reviewers' screens of routing."""

from __future__ import annotations

from django.contrib import admin

from governance.access.matrix import STEER
from governance.screens.admin_base import EvidenceAdmin, RecordAdmin, Verb, in_states

from . import services
from .models import Adjustment, AdjustmentEvidence, Freeze


@admin.register(Adjustment)
class AdjustmentAdmin(RecordAdmin):
    """What policies changed about who is trusted with what."""

    list_display = ("__str__", "agent", "policy", "state_badge", "started_at", "ends_at", "story")
    list_filter = ("state", "type")
    list_select_related = ("agent", "policy__trace")
    search_fields = ("^capability",)
    story_path = "policy.trace.incident_id"
    verbs = (
        Verb(
            "roll-back",
            "Roll back",
            services.roll_back,
            right=STEER,
            when=in_states("open"),
            is_grave=True,
            text="It is out of the weight at once.",
        ),
    )


@admin.register(AdjustmentEvidence)
class AdjustmentEvidenceAdmin(EvidenceAdmin):
    """The incidents behind adjustments."""

    list_display = ("adjustment", "incident", "when", "story")
    list_select_related = ("adjustment", "incident")
    story_path = "incident_id"


@admin.register(Freeze)
class FreezeAdmin(RecordAdmin):
    """Times in which nothing may be adjusted."""

    list_display = ("reason", "agent", "capability", "until", "when")
    list_select_related = ("agent",)
    search_fields = ("^capability",)
