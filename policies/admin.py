"""The reviewers' screens of policies and of the evidence they are judged by."""

from __future__ import annotations

from typing import Any

from django import forms
from django.contrib import admin
from unfold.decorators import display

from governance.access.matrix import JUDGE_POLICIES, REPORT_HARM, WRITE_POLICIES
from governance.actors import Actor
from governance.screens.admin_base import BADGES, EvidenceAdmin, RecordAdmin, Verb, in_states

from .models import (
    Decision,
    Evidence,
    Outcome,
    Policy,
    PolicySet,
    PolicyVersion,
    Prevention,
    Regret,
    TimelineView,
    WouldBlock,
)
from .services import life, regret


def confirm(policy: Policy, *, actor: Actor, reason: str) -> None:
    """Vouch for the present version; the reason is kept as the note."""
    life.confirm(policy, actor=actor, note=reason)


def report_regret(policy: Policy, *, actor: Actor, reason: str, severity: int) -> None:
    """Say that the policy did harm."""
    regret.report(policy, severity=severity, description=reason, actor=actor)


@admin.register(Policy)
class PolicyAdmin(RecordAdmin):
    """The rules, from draft to retirement."""

    list_display = (
        "name",
        "state_badge",
        "action",
        "tool",
        "version",
        "confidence",
        "when",
        "story",
    )
    list_filter = ("state", "action", "category", "source", "simulated")
    list_select_related = ("trace",)
    search_fields = ("^name", "^tool")
    story_path = "trace.incident_id"
    verbs = (
        Verb(
            "submit", "Submit to shadow", life.submit, right=WRITE_POLICIES, when=in_states("draft")
        ),
        Verb(
            "confirm",
            "Confirm",
            confirm,
            right=JUDGE_POLICIES,
            when=in_states("shadow"),
            text="One confirmation by a reviewer.",
        ),
        Verb(
            "activate",
            "Activate",
            life.activate,
            right=JUDGE_POLICIES,
            when=in_states("shadow", "pending", "suspended"),
        ),
        Verb(
            "suspend",
            "Suspend",
            life.suspend,
            right=WRITE_POLICIES,
            when=in_states("active"),
            is_grave=True,
        ),
        Verb(
            "regret",
            "Report harm",
            report_regret,
            right=REPORT_HARM,
            when=in_states("active"),
            in_bulk=False,
            text="A report of harm; with enough of it the policy goes back to shadow by itself.",
            fields={"severity": forms.IntegerField(min_value=1, max_value=10, help_text="1 to 10")},
        ),
        Verb(
            "retire",
            "Retire",
            life.retire,
            right=WRITE_POLICIES,
            is_grave=True,
            when=lambda policy: policy.state != Policy.State.RETIRED,
            text="For good.",
        ),
    )

    def facts_of(self, record: Any) -> dict[str, Any]:
        return {
            "action": record.action,
            "tool": record.tool,
            "version": record.version,
            "confidence": record.confidence,
            "condition": record.condition,
            "backtest": record.backtest,
        }


@admin.register(PolicyVersion)
class PolicyVersionAdmin(EvidenceAdmin):
    """Every wording a policy had."""

    list_display = ("policy", "number", "reason", "when")
    list_select_related = ("policy",)


@admin.register(PolicySet)
class PolicySetAdmin(RecordAdmin):
    """The number that rises with every change the guard must see."""

    list_display = ("__str__", "revision")


@admin.register(Evidence)
class EvidenceOfPolicyAdmin(EvidenceAdmin):
    """What speaks for a policy."""

    list_display = (
        "policy",
        "version",
        "kind_badge",
        "incident",
        "actor",
        "withdraws",
        "when",
        "story",
    )
    list_filter = ("kind", "withdraws")
    list_select_related = ("policy", "incident")
    story_path = "incident_id"

    @display(description="kind", ordering="kind", label=BADGES)
    def kind_badge(self, record: Evidence) -> str:
        """What kind of evidence it is."""
        return record.kind


@admin.register(Decision)
class DecisionAdmin(EvidenceAdmin):
    """What the guard answered."""

    list_display = ("__str__", "verdict_badge", "mode", "agent", "run", "step", "simulated", "when")
    list_filter = ("verdict", "mode", "kind", "simulated")
    list_select_related = ("agent", "run")
    search_fields = ("^tool",)

    @display(description="verdict", ordering="verdict", label=BADGES)
    def verdict_badge(self, record: Decision) -> str:
        """What it said."""
        return record.verdict


@admin.register(Outcome)
class OutcomeAdmin(EvidenceAdmin):
    """How actions went."""

    list_display = ("tool", "ok", "error_type", "agent", "latency_ms", "simulated", "when", "story")
    list_filter = ("ok", "simulated")
    list_select_related = ("agent",)
    search_fields = ("^tool", "^error_type")
    story_path = "incident_id"


@admin.register(WouldBlock)
class WouldBlockAdmin(EvidenceAdmin):
    """What shadow policies would have stopped, and what became of it."""

    list_display = ("policy", "version", "result_badge", "decision", "simulated", "when")
    list_filter = ("result", "simulated")
    list_select_related = ("policy", "decision")

    @display(description="result", ordering="result", label=BADGES)
    def result_badge(self, record: WouldBlock) -> str:
        """Whether it would have been right."""
        return record.result


@admin.register(Prevention)
class PreventionAdmin(EvidenceAdmin):
    """Failures that were stopped."""

    list_display = ("policy", "pattern", "similarity", "decision", "simulated", "when", "story")
    list_filter = ("simulated",)
    list_select_related = ("policy", "pattern", "decision")
    story_path = "original_incident_id"


@admin.register(Regret)
class RegretAdmin(EvidenceAdmin):
    """Harm that policies did."""

    list_display = ("policy", "type", "severity", "agent", "reporter", "simulated", "when")
    list_filter = ("type", "severity", "simulated")
    list_select_related = ("policy", "agent")


@admin.register(TimelineView)
class TimelineViewAdmin(EvidenceAdmin):
    """Who saw the proof."""

    list_display = ("user", "incident", "simulated", "when", "story")
    list_filter = ("simulated",)
    list_select_related = ("user", "incident")
    story_path = "incident_id"
