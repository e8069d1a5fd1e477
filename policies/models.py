"""Rules born from recoveries, what they did, and the calls they are judged by."""

from __future__ import annotations

from typing import Any, ClassVar, Self

from django.core.validators import MaxValueValidator, MinValueValidator
from django.db import models
from django.db.models import F, Q, Value

from catalog.models import Pattern, PatternMatch
from governance.database.fields import AppendOnly, TenantForeignKey, TenantModel
from governance.database.scoped import TenantManager
from governance.ids import IdField
from governance.models import Agent, LoopTrace, Run, User
from incidents.models import Incident
from policies.rules.prevention import SIMILARITY_NEEDED
from recovery.models import Recovery


class Policies(models.QuerySet["Policy"]):
    """Policies by how far they have come."""

    def active(self) -> Self:
        return self.filter(state=Policy.State.ACTIVE)

    def watching(self) -> Self:
        """Not in force yet, but every decision records what they would have said."""
        return self.filter(state__in=[Policy.State.SHADOW, Policy.State.PENDING])

    def live(self) -> Self:
        """Read by the guard at every decision."""
        return self.filter(state__in=Policy.LIVE)


class Policy(TenantModel):
    """One rule in the life from draft to retirement, in its newest version."""

    class State(models.TextChoices):
        DRAFT = "draft"
        SHADOW = "shadow"
        PENDING = "pending"
        ACTIVE = "active"
        SUSPENDED = "suspended"
        RETIRED = "retired"

    class Category(models.TextChoices):
        SAFETY = "safety"
        PRIVACY = "privacy"
        OPERATIONAL = "operational"
        ROUTING = "routing"
        CUSTOM = "custom"

    class Action(models.TextChoices):
        BLOCK = "block"
        WARN = "warn"
        ESCALATE = "escalate"
        ROUTE_AWAY = "route_away"
        KILL = "kill"

    class Scope(models.TextChoices):
        AGENT = "agent"
        TENANT = "tenant"
        GLOBAL = "global"

    class Source(models.TextChoices):
        MANUAL = "manual"
        RECOVERY = "recovery"
        PATTERN = "pattern"

    class FailureMode(models.TextChoices):
        FAIL_CLOSED = "fail_closed"
        FAIL_OPEN = "fail_open"

    class BindAt(models.TextChoices):
        RUN_START = "run_start"
        FIRST_TOKEN = "first_token"  # noqa: S105 - a moment of a model's answer
        EACH_STEP = "each_step"

    LIVE: ClassVar[tuple[str, ...]] = (State.SHADOW, State.PENDING, State.ACTIVE)
    MOVES: ClassVar[dict[str, frozenset[str]]] = {
        State.DRAFT: frozenset({State.SHADOW, State.RETIRED}),
        State.SHADOW: frozenset({State.PENDING, State.RETIRED}),
        State.PENDING: frozenset({State.ACTIVE, State.SHADOW, State.RETIRED}),
        State.ACTIVE: frozenset({State.SUSPENDED, State.SHADOW, State.RETIRED}),
        State.SUSPENDED: frozenset({State.ACTIVE, State.SHADOW, State.RETIRED}),
    }

    id = IdField("pol")
    name = models.CharField(max_length=300)
    state = models.CharField(
        max_length=10, choices=State.choices, default=State.DRAFT, editable=False
    )
    category = models.CharField(
        max_length=12, choices=Category.choices, default=Category.OPERATIONAL
    )
    action = models.CharField(max_length=10, choices=Action.choices, default=Action.BLOCK)
    scope_type = models.CharField(max_length=8, choices=Scope.choices, default=Scope.TENANT)
    scope_id = models.CharField(
        max_length=200, blank=True, help_text="The agent's name where the scope is an agent."
    )
    source = models.CharField(
        max_length=10, choices=Source.choices, default=Source.MANUAL, editable=False
    )
    failure_mode = models.CharField(
        max_length=12, choices=FailureMode.choices, default=FailureMode.FAIL_CLOSED
    )
    bind_at = models.CharField(
        max_length=12,
        choices=BindAt.choices,
        default=BindAt.EACH_STEP,
        db_default=BindAt.EACH_STEP,
        help_text="Which runs it is about: those that begin under it, those whose first model call comes under it,"
        " or every run from its next step on.",
    )
    tool = models.CharField(
        max_length=200, blank=True, help_text="The one tool it is about; empty: every tool."
    )
    head: models.JSONField[Any, Any] = models.JSONField(
        default=dict,
        db_default=Value({}, models.JSONField()),
        editable=False,
        help_text="What its condition can only be true of, by variable: the guard finds it by this.",
    )
    changed_in = models.BigIntegerField(
        default=0,
        db_default=0,
        editable=False,
        help_text="The policy set's revision that it last changed.",
    )
    version = models.PositiveIntegerField(default=1, editable=False)
    condition = models.TextField(
        help_text="CEL over action, arguments, agent, run, model, history and more: docs/conditions.md."
    )
    explanation = models.TextField(blank=True, editable=False)
    confidence = models.FloatField(default=0.0, editable=False)
    backtest: models.JSONField[Any, Any] = models.JSONField(default=dict, editable=False)
    pattern = TenantForeignKey(Pattern, null=True, related_name="policies", editable=False)
    recovery = TenantForeignKey(Recovery, null=True, related_name="policies", editable=False)
    trace = TenantForeignKey(LoopTrace, null=True, related_name="+", editable=False)
    simulated = models.BooleanField(default=False, editable=False)
    reason = models.TextField(
        blank=True, editable=False, help_text="Why it last changed its state."
    )
    state_since = models.DateTimeField(auto_now_add=True, editable=False)

    objects = TenantManager.from_queryset(Policies)()  # type: ignore[misc]

    class Meta:
        ordering = ["-id"]
        verbose_name_plural = "policies"
        indexes = [
            models.Index(
                fields=["tenant", "state"],
                name="policy_live",
                condition=Q(state__in=["shadow", "pending", "active"]),
            ),
            models.Index(fields=["tenant", "pattern", "state"], name="policy_of_pattern"),
            models.Index(fields=["tenant", "changed_in"], name="policy_changed"),
        ]

    def __str__(self) -> str:
        return self.name

    @property
    def mode(self) -> str:
        """The life in the API's words: suspended and retired are both ``disabled``."""
        return (
            "disabled" if self.state in (self.State.SUSPENDED, self.State.RETIRED) else self.state
        )


class PolicyVersion(AppendOnly):
    """One wording of a policy, and why it came to be."""

    id = IdField("pvr")
    policy = TenantForeignKey(Policy, related_name="versions")
    number = models.PositiveIntegerField()
    condition = models.TextField()
    explanation = models.TextField(blank=True)
    backtest: models.JSONField[Any, Any] = models.JSONField(default=dict)
    reason = models.CharField(max_length=300)

    class Meta:
        ordering = ["-number"]
        constraints = [
            models.UniqueConstraint(
                fields=["tenant", "policy", "number"], name="policy_version_once"
            )
        ]

    def __str__(self) -> str:
        return f"{self.policy_id} v{self.number}"


class PolicySet(TenantModel):
    """The number of a tenant's policy set: it rises with every change that the guard must see."""

    id = IdField("pst")
    revision = models.BigIntegerField(default=1)
    root = models.CharField(
        max_length=64,
        blank=True,
        default="",
        db_default="",
        help_text="The hash of what is in force; empty before the first change that was kept.",
    )

    class Meta:
        constraints = [models.UniqueConstraint(fields=["tenant"], name="policy_set_once")]

    def __str__(self) -> str:
        return f"policy set {self.revision} of {self.tenant_id}"


class PolicySnapshot(AppendOnly):
    """One revision of a tenant's policy set: the hash of everything that was in force under it."""

    id = IdField("psn")
    revision = models.BigIntegerField()
    hash = models.CharField(max_length=64)

    class Meta:
        ordering = ["-revision"]
        constraints = [
            models.UniqueConstraint(fields=["tenant", "revision"], name="policy_snapshot_once")
        ]
        indexes = [models.Index(fields=["tenant", "hash", "revision"], name="policy_snapshot_hash")]

    def __str__(self) -> str:
        return f"policy set {self.revision}: {self.hash[:12]}"


class PolicySetNode(AppendOnly):
    """A part of policy sets, named by the hash of its text and shared by all sets that have it."""

    id = IdField("psd")
    hash = models.CharField(max_length=64)
    text = models.TextField()

    class Meta:
        constraints = [
            models.UniqueConstraint(fields=["tenant", "hash"], name="policy_set_node_once")
        ]

    def __str__(self) -> str:
        return self.hash


class Evidence(AppendOnly):
    """One incident that speaks for one version of a policy; a reviewer may add one without an incident."""

    class Kind(models.TextChoices):
        ORIGIN = "origin"
        CONFIRMATION = "confirmation"
        SUPPORT = (
            "support"  # the policy was active already, or the incident only shares its pattern
        )
        REVIEWER = "reviewer"

    id = IdField("evd")
    policy = TenantForeignKey(Policy, related_name="evidence")
    version = models.PositiveIntegerField()
    kind = models.CharField(max_length=12, choices=Kind.choices)
    incident = TenantForeignKey(Incident, null=True, related_name="evidence")
    actor = models.CharField(max_length=80)
    withdraws = models.BooleanField(
        default=False, help_text="Takes this incident's evidence back (a reverted loop)."
    )
    note = models.TextField(blank=True)

    class Meta:
        ordering = ["-id"]
        verbose_name_plural = "evidence"
        constraints = [
            models.UniqueConstraint(
                fields=["tenant", "policy", "version", "incident", "withdraws"],
                condition=Q(incident__isnull=False),
                name="evidence_once",
            ),
            models.UniqueConstraint(
                fields=["tenant", "policy", "version", "actor"],
                condition=Q(kind="reviewer"),
                name="evidence_reviewer_once",
            ),
        ]

    def __str__(self) -> str:
        return f"{self.kind} for {self.policy_id}"


class Decision(AppendOnly):
    """One answer of the guard to one action that an agent was about to take."""

    class Verdict(models.TextChoices):
        ALLOW = "allow"
        WARN = "warn"
        ROUTE_AWAY = "route_away"
        ESCALATE = "escalate"
        BLOCK = "block"
        KILL = "kill"

    class Mode(models.TextChoices):
        AGENT_STOP = "agent_stop"
        BYPASS = "bypass"
        DEGRADED = "degraded"
        EXPLORED = "explored"

    class Kind(models.TextChoices):
        TOOL_CALL = "tool_call"
        LLM_CALL = "llm_call"
        DATA_ACCESS = "data_access"
        EXTERNAL_CALL = "external_call"
        AGENT_SPAWN = "agent_spawn"
        COMMAND = "command"

    YES: ClassVar[frozenset[str]] = frozenset({Verdict.ALLOW, Verdict.WARN})

    id = IdField("dec")
    agent = TenantForeignKey(Agent, related_name="decisions")
    run = TenantForeignKey(Run, related_name="decisions")
    step = models.BigIntegerField(null=True)
    kind = models.CharField(max_length=15, choices=Kind.choices)
    tool = models.CharField(max_length=200, blank=True)
    arguments: models.JSONField[Any, Any] = models.JSONField(default=dict)
    call = models.CharField(
        max_length=32,
        blank=True,
        default="",
        db_default="",
        editable=False,
        help_text="A digest that equal arguments share; empty where it was decided before there was one.",
    )
    context: models.JSONField[Any, Any] = models.JSONField(default=dict)
    verdict = models.CharField(max_length=10, choices=Verdict.choices)
    mode = models.CharField(
        max_length=10,
        choices=Mode.choices,
        blank=True,
        default="",
        db_default="",
        help_text="The mode that had the last word, if one had; explored: let through to measure its policy.",
    )
    would_be = models.CharField(
        max_length=10,
        choices=Verdict.choices,
        blank=True,
        default="",
        db_default="",
        help_text="The verdict without that mode; empty where nobody asked the policies.",
    )
    policies: models.JSONField[Any, Any] = models.JSONField(
        default=list, help_text="Of those that matched: id, version, action."
    )
    would_block: models.JSONField[Any, Any] = models.JSONField(
        default=list, help_text="Of policies that would have, in shadow or explored: id, version."
    )
    reason = models.CharField(max_length=500, blank=True)
    policy_set = models.BigIntegerField(default=0, help_text="The revision it was decided under.")
    policy_set_hash = models.CharField(
        max_length=64,
        blank=True,
        default="",
        db_default="",
        help_text="Everything that was in force, by its hash; empty where the policies were not asked.",
    )
    simulated = models.BooleanField(default=False)

    class Meta:
        ordering = ["-id"]
        indexes = [
            models.Index(fields=["tenant", "created_at"], name="decision_created"),
            models.Index(fields=["tenant", "run", "tool", "call"], name="decision_of_run"),
            models.Index(
                fields=["tenant", "verdict", "id"],
                name="decision_denied",
                condition=~Q(verdict="allow"),
            ),
        ]

    def __str__(self) -> str:
        return f"{self.verdict} {self.tool or self.kind}"

    @property
    def is_overridden(self) -> bool:
        """Whether a mode let through what would have been denied: it happened, and is no evidence."""
        return (
            self.verdict in self.YES
            and self.would_be not in ("", *self.YES)
            and not self.is_explored
        )

    @property
    def is_explored(self) -> bool:
        """Whether it was let through in order to measure the policy that would have blocked it."""
        return self.mode == self.Mode.EXPLORED


class Outcome(AppendOnly):
    """How an action went, as the agent reported it: the facts that policies are judged by."""

    id = IdField("otc")
    decision = TenantForeignKey(Decision, related_name="outcomes")
    agent = TenantForeignKey(Agent, related_name="outcomes")
    tool = models.CharField(max_length=200, blank=True)
    ok = models.BooleanField()
    error_type = models.CharField(max_length=200, blank=True)
    error_message = models.TextField(blank=True)
    overridden = models.BooleanField(
        default=False,
        db_default=False,
        help_text="Of a call that would have been denied, but for a bypass: kept, and no evidence.",
    )
    latency_ms = models.PositiveIntegerField(null=True)
    cost_microusd = models.BigIntegerField(null=True)
    incident = TenantForeignKey(Incident, null=True, related_name="outcomes")
    simulated = models.BooleanField(default=False)

    class Meta:
        ordering = ["-id"]
        constraints = [models.UniqueConstraint(fields=["tenant", "decision"], name="outcome_once")]
        indexes = [
            models.Index(fields=["tenant", "tool", "ok", "id"], name="outcome_of_tool"),
            models.Index(fields=["tenant", "agent", "tool", "id"], name="outcome_of_agent"),
        ]

    def __str__(self) -> str:
        return f"{'ok' if self.ok else self.error_type} {self.tool}"


class WouldBlock(TenantModel):
    """One call that a policy would have stopped, in shadow or let through, and what then became of the call."""

    class Result(models.TextChoices):
        OPEN = "open"
        CONFIRMED = "confirmed"
        FALSE_REJECTION = "false_rejection"
        OTHER_FAILURE = "other_failure"

    id = IdField("wbl")
    policy = TenantForeignKey(Policy, related_name="would_blocks")
    version = models.PositiveIntegerField()
    decision = TenantForeignKey(Decision, related_name="would_blocks")
    result = models.CharField(max_length=15, choices=Result.choices, default=Result.OPEN)
    simulated = models.BooleanField(default=False)

    class Meta:
        ordering = ["-id"]
        constraints = [
            models.UniqueConstraint(
                fields=["tenant", "policy", "decision"], name="would_block_once"
            )
        ]
        indexes = [
            models.Index(fields=["tenant", "decision"], name="would_block_decision"),
            models.Index(
                fields=["tenant", "policy", "version", "result"], name="would_block_result"
            ),
        ]

    def __str__(self) -> str:
        return f"{self.policy_id} would have blocked {self.decision_id}: {self.result}"


class LetPass(AppendOnly):
    """One call that a policy in force let pass because its condition could not tell and it fails open."""

    id = IdField("lps")
    policy = TenantForeignKey(Policy, related_name="let_passes")
    version = models.PositiveIntegerField()
    decision = TenantForeignKey(Decision, related_name="let_passes")
    fault = models.CharField(max_length=300, help_text="Why it could not tell.")
    simulated = models.BooleanField(default=False)

    class Meta:
        ordering = ["-id"]
        verbose_name_plural = "let passes"
        constraints = [
            models.UniqueConstraint(fields=["tenant", "policy", "decision"], name="let_pass_once")
        ]

    def __str__(self) -> str:
        return f"{self.policy_id} let {self.decision_id} pass: {self.fault}"


class Prevention(AppendOnly):
    """One failure that was stopped because a policy remembered it."""

    id = IdField("prv")
    policy = TenantForeignKey(Policy, related_name="preventions")
    pattern = TenantForeignKey(Pattern, null=True, related_name="preventions")
    decision = TenantForeignKey(Decision, null=True, related_name="preventions")
    original_incident = TenantForeignKey(Incident, null=True, related_name="preventions")
    similarity = models.FloatField(help_text="Of the call to the calls of the pattern, 0 to 1.")
    simulated = models.BooleanField(default=False)

    class Meta:
        ordering = ["-id"]
        constraints = [
            models.UniqueConstraint(
                fields=["tenant", "policy", "decision"], name="prevention_once"
            ),
            models.CheckConstraint(
                condition=Q(simulated=True) | Q(decision__isnull=False),
                name="prevention_real_has_decision",
            ),
            models.CheckConstraint(
                condition=Q(similarity__gte=0, similarity__lte=1)
                & (Q(simulated=True) | Q(similarity__gte=SIMILARITY_NEEDED, pattern__isnull=False)),
                name="prevention_real_is_alike",
            ),
        ]
        indexes = [models.Index(fields=["tenant", "created_at"], name="prevention_created")]

    def __str__(self) -> str:
        return f"{self.policy_id} prevented a recurrence"


class Regret(AppendOnly):
    """One harm done by a policy, as somebody reported it."""

    class Type(models.TextChoices):
        FALSE_REJECTION = "false_rejection"
        APPEAL_UPHELD = "appeal_upheld"
        OVERRIDE = "override"
        CAUSED_INCIDENT = "caused_incident"
        EXPLORATION = "exploration"
        OTHER = "other"

    id = IdField("rgt")
    policy = TenantForeignKey(Policy, related_name="regrets")
    decision = TenantForeignKey(Decision, null=True, related_name="regrets")
    agent = TenantForeignKey(
        Agent, null=True, related_name="regrets", help_text="The agent that reports or was stopped."
    )
    incident = TenantForeignKey(
        Incident,
        null=True,
        related_name="regrets",
        help_text="The incident that the policy caused.",
    )
    type = models.CharField(max_length=20, choices=Type.choices, default=Type.OTHER)
    severity = models.PositiveSmallIntegerField(
        validators=[MinValueValidator(1), MaxValueValidator(10)]
    )
    description = models.TextField(blank=True)
    reporter = models.CharField(max_length=80, help_text="The principal that reported it.")
    appellant = models.CharField(
        max_length=80,
        blank=True,
        default="",
        db_default="",
        help_text="Of an upheld appeal: the principal that appealed, whom the reporter agreed with.",
    )
    simulated = models.BooleanField(default=False)

    class Meta:
        ordering = ["-id"]
        constraints = [
            models.CheckConstraint(
                condition=Q(severity__gte=1, severity__lte=10), name="regret_severity"
            ),
            models.CheckConstraint(
                condition=Q(type="caused_incident") | Q(incident=None),
                name="regret_incident_of_type",
            ),
            models.UniqueConstraint(
                fields=["tenant", "policy", "incident"],
                condition=Q(simulated=False, incident__isnull=False),
                name="regret_incident_once",
            ),
            models.UniqueConstraint(
                fields=["tenant", "policy", "decision", "reporter"],
                condition=Q(type="override", simulated=False),
                name="regret_override_once",
            ),
        ]
        indexes = [
            models.Index(fields=["tenant", "policy", "created_at"], name="regret_of_policy"),
            models.Index(fields=["tenant", "created_at"], name="regret_created"),
        ]

    def __str__(self) -> str:
        return f"regret {self.severity} about {self.policy_id}"


class Demotion(AppendOnly):
    """One policy that lost its force by itself, because of what was reported about it."""

    id = IdField("dmt")
    policy = TenantForeignKey(Policy, related_name="demotions")
    version = models.PositiveIntegerField(help_text="The version that lost its force.")
    score = models.FloatField(help_text="What the reports came to at that moment.")
    reports = models.PositiveIntegerField(help_text="How many of them counted.")
    principals: models.JSONField[Any, Any] = models.JSONField(
        default=list, help_text="Who stands behind them, two at least."
    )
    reason = models.CharField(max_length=300)
    simulated = models.BooleanField(default=False)

    class Meta:
        ordering = ["-id"]
        constraints = [
            models.UniqueConstraint(
                fields=["tenant", "policy", "version"],
                condition=Q(simulated=False),
                name="demotion_once",
            )
        ]

    def __str__(self) -> str:
        return f"{self.policy_id} v{self.version} demoted"


class MatchVerdict(AppendOnly):
    """One person's word on whether an incident really was of the pattern that it was matched with."""

    id = IdField("mvd")
    match = TenantForeignKey(PatternMatch, related_name="verdicts")
    is_right = models.BooleanField()
    actor = models.CharField(max_length=80)
    reason = models.TextField(blank=True)

    class Meta:
        ordering = ["-id"]
        constraints = [
            models.UniqueConstraint(fields=["tenant", "match", "actor"], name="match_verdict_once")
        ]

    def __str__(self) -> str:
        return f"{self.match_id} is {'right' if self.is_right else 'wrong'}"


class Calibration(AppendOnly):
    """One change of how sure a match with a pattern must be, or of whether that may change by itself."""

    class Kind(models.TextChoices):
        MEASURED = "measured"
        HELD = "held"  # the error jumped: nothing is learned until it is back
        FROZEN = "frozen"  # by a person
        THAWED = "thawed"
        REVERTED = "reverted"  # by a person, and frozen with it

    FREEZING: ClassVar[frozenset[str]] = frozenset({Kind.FROZEN, Kind.REVERTED})

    id = IdField("cal")
    pattern = TenantForeignKey(Pattern, related_name="calibrations")
    kind = models.CharField(max_length=10, choices=Kind.choices)
    strong_before = models.FloatField()
    weak_before = models.FloatField()
    strong_above = models.FloatField()
    weak_from = models.FloatField()
    outcomes = models.PositiveIntegerField(help_text="Matches whose outcome was known.")
    right = models.PositiveIntegerField(help_text="Of them those that were right.")
    actor = models.CharField(max_length=80)
    reason = models.CharField(max_length=300, blank=True)

    class Meta:
        ordering = ["-id"]
        constraints = [
            models.CheckConstraint(
                condition=Q(
                    weak_from__gte=0, weak_from__lte=F("strong_above"), strong_above__lte=1
                ),
                name="calibration_in_order",
            )
        ]
        indexes = [
            models.Index(fields=["tenant", "pattern", "id"], name="calibration_of_pattern"),
        ]

    def __str__(self) -> str:
        return f"{self.kind}: strong above {self.strong_above}, weak from {self.weak_from}"


class TimelineView(AppendOnly):
    """One signed-in person who opened a timeline that shows A, the policy, and B prevented (gate 3)."""

    id = IdField("tlv")
    user = models.ForeignKey(User, models.PROTECT, null=True, related_name="+")
    incident = TenantForeignKey(Incident, related_name="+")
    simulated = models.BooleanField(default=False)

    class Meta:
        ordering = ["-id"]

    def __str__(self) -> str:
        return f"{self.user_id} saw {self.incident_id}"
