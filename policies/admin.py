"""The reviewers' screens of policies and of the evidence they are judged by."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from django import forms
from django.contrib import admin
from django.urls import reverse
from unfold.decorators import display

from governance.access.matrix import CURATE, JUDGE_POLICIES, REPORT_HARM, WRITE_POLICIES
from governance.actors import Actor
from governance.screens.admin_base import BADGES, EvidenceAdmin, RecordAdmin, Verb, in_states

from .models import (
    Calibration,
    Decision,
    Demotion,
    Evidence,
    LetPass,
    MatchVerdict,
    Outcome,
    Policy,
    PolicySet,
    PolicySetNode,
    PolicySnapshot,
    PolicyVersion,
    Prevention,
    Regret,
    TimelineView,
    WouldBlock,
)
from .services import calibrations, life, regret


def confirm(policy: Policy, *, actor: Actor, reason: str) -> None:
    """Vouch for the present version; the reason is kept as the note."""
    life.confirm(policy, actor=actor, note=reason)


def report_regret(policy: Policy, *, actor: Actor, reason: str, severity: int) -> None:
    """Say that the policy did harm."""
    regret.report(policy, severity=severity, description=reason, actor=actor)


def on_pattern(verb: Callable[..., Any]) -> Callable[..., Any]:
    """A verb of the pattern that a calibration is of."""
    return lambda record, **why: verb(record.pattern, **why)


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

    def story_url(self, record: Any) -> str:
        """Its life on the console: there also for a policy that no incident bore, and so no trace tells of."""
        return reverse("policies:show", args=[record.pk])

    def facts_of(self, record: Any) -> dict[str, Any]:
        return {
            "action": record.action,
            "tool": record.tool,
            "failure_mode": record.failure_mode,
            "bind_at": record.bind_at,
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


@admin.register(PolicySnapshot)
class PolicySnapshotAdmin(EvidenceAdmin):
    """Every revision of the policy set, by the hash of what was in force."""

    list_display = ("__str__", "revision", "hash", "when")
    fields = ("revision", "hash", "created_at")
    search_fields = ("=hash",)


@admin.register(PolicySetNode)
class PolicySetNodeAdmin(EvidenceAdmin):
    """The parts of policy sets."""

    list_display = ("hash", "when")
    fields = ("hash", "text", "created_at")
    search_fields = ("=hash",)


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
    verbs = (
        Verb(
            "overrule",
            "Overrule",
            regret.overrule,
            right=JUDGE_POLICIES,
            when=lambda decision: decision.verdict not in Decision.YES,
            in_bulk=False,
            text="Say that this refusal was wrong: a regret of every policy that denied. What was refused stays so.",
        ),
    )

    def facts_of(self, record: Any) -> dict[str, Any]:
        return {
            "agent": record.agent.name,
            "tool": record.tool,
            "arguments": record.arguments,
            "said": record.reason,
        }

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


@admin.register(LetPass)
class LetPassAdmin(EvidenceAdmin):
    """What policies that fail open let pass because they could not tell."""

    list_display = ("policy", "version", "fault", "decision", "simulated", "when")
    list_filter = ("simulated",)
    list_select_related = ("policy", "decision")


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


@admin.register(Demotion)
class DemotionAdmin(EvidenceAdmin):
    """Policies that lost their force because of regret."""

    list_display = ("policy", "version", "score", "reports", "reason", "simulated", "when")
    list_filter = ("simulated",)
    list_select_related = ("policy",)


@admin.register(Calibration)
class CalibrationAdmin(EvidenceAdmin):
    """How sure a match must be, and how that came to be; changed on the console's page of the pattern."""

    list_display = (
        "pattern",
        "kind",
        "strong_above",
        "weak_from",
        "outcomes",
        "right",
        "actor",
        "when",
    )
    list_filter = ("kind",)
    list_select_related = ("pattern",)
    verbs = (
        Verb(
            "freeze",
            "Freeze",
            on_pattern(calibrations.freeze),
            right=CURATE,
            in_bulk=False,
            when=lambda record: record.kind not in Calibration.FREEZING,
        ),
        Verb(
            "thaw",
            "Thaw",
            on_pattern(calibrations.thaw),
            right=CURATE,
            in_bulk=False,
            when=lambda record: record.kind in Calibration.FREEZING,
        ),
        Verb(
            "revert",
            "Take back",
            on_pattern(calibrations.revert),
            right=CURATE,
            in_bulk=False,
            is_grave=True,
            text="The thresholds before the latest change hold again, and are frozen.",
        ),
    )


@admin.register(MatchVerdict)
class MatchVerdictAdmin(EvidenceAdmin):
    """What people said of matches."""

    list_display = ("match", "is_right", "actor", "reason", "when")
    list_filter = ("is_right",)
    list_select_related = ("match",)


@admin.register(TimelineView)
class TimelineViewAdmin(EvidenceAdmin):
    """Who saw the proof."""

    list_display = ("user", "incident", "simulated", "when", "story")
    list_filter = ("simulated",)
    list_select_related = ("user", "incident")
    story_path = "incident_id"
