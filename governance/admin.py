"""The reviewers' screens of the ground: checkpoints first, then the loop, people and switches."""

from __future__ import annotations

from typing import Any, ClassVar

from django import forms
from django.contrib import admin
from django.contrib.auth.admin import UserAdmin
from django.contrib.auth.models import Group
from django.core.exceptions import PermissionDenied
from django.db.models import Case, Model, QuerySet, When
from django.http import HttpRequest
from unfold.decorators import display
from unfold.forms import AdminPasswordChangeForm, UserChangeForm, UserCreationForm
from unfold.widgets import UnfoldAdminSelectWidget

from . import checkpoints, models, revert, tenants, tokens
from .access.matrix import (
    DECIDE,
    MANAGE_MEMBERS,
    MANAGE_SETTINGS,
    MANAGE_TOKENS,
    RETRY,
    REVERT,
    SWITCH,
    Right,
)
from .actors import Actor
from .loop import verbs as loop
from .loop.bridges import bridges
from .models import Checkpoint, LoopStep, LoopTrace, Membership, Role, User
from .models.switches import WHOLE_LOOP
from .refusals import Refusal
from .screens import ledger_admin, modes_admin  # noqa: F401 - importing registers pages
from .screens.admin_base import (
    BADGES,
    EvidenceAdmin,
    GlobalAdmin,
    RecordAdmin,
    Verb,
    ago,
    in_states,
)
from .screens.modes_admin import SETTINGS_VERBS
from .screens.people import actor_of, may

admin.site.unregister(Group)  # roles say what people may do, not groups
modes_admin.register()


def approve(checkpoint: Checkpoint, *, actor: Actor, reason: str, digest: str) -> None:
    """Approve what was shown."""
    checkpoints.decide(checkpoint, approve=True, actor=actor, digest=digest, reason=reason)


def reject(checkpoint: Checkpoint, *, actor: Actor, reason: str, digest: str) -> None:
    """Reject what was shown."""
    checkpoints.decide(checkpoint, approve=False, actor=actor, digest=digest, reason=reason)


PENDING_FIRST = Case(When(state=Checkpoint.State.PENDING, then=0), default=1).asc()


@admin.register(models.Checkpoint)
class CheckpointAdmin(RecordAdmin):
    """What waits for a person, most urgent first."""

    list_display = ("title", "priority_badge", "type", "state_badge", "when", "expires", "story")
    list_filter = ("state", "priority", "type")
    list_select_related = ("trace",)
    search_fields = ("^title", "subject")
    story_path = "trace.incident_id"
    ordering = (PENDING_FIRST, "priority", "id")
    verbs = (
        Verb(
            "approve",
            "Approve",
            approve,
            right=DECIDE,
            needs_reason=False,
            when=in_states("pending"),
            bound="digest",
        ),
        Verb(
            "reject",
            "Reject",
            reject,
            right=DECIDE,
            when=in_states("pending"),
            bound="digest",
            is_grave=True,
        ),
    )

    @display(description="priority", ordering="priority", label=BADGES)
    def priority_badge(self, record: Checkpoint) -> str:
        """How soon to look."""
        return record.get_priority_display().lower()

    @display(description="expires", ordering="expires_at")
    def expires(self, record: Checkpoint) -> str:
        """When silence counts as a no."""
        return ago(record.expires_at)

    def facts_of(self, record: Any) -> dict[str, Any]:
        return record.shown if isinstance(record.shown, dict) else {"shown": record.shown}


def try_again(trace: LoopTrace, *, actor: Actor, reason: str) -> None:
    """Run the stage again that stopped or died."""
    stopped = trace.steps.filter(state__in=[LoopStep.State.FAILED, LoopStep.State.DEAD]).first()
    loop.retry(trace, stopped.stage if stopped else trace.stage, actor=actor, reason=reason)


@admin.register(models.LoopTrace)
class LoopTraceAdmin(RecordAdmin):
    """Every journey of an incident round the loop."""

    list_display = ("headline", "state_badge", "stage", "failure_state", "when", "story")
    list_filter = ("state", "stage", "failure_state", "simulated")
    search_fields = ("^headline", "=incident_id")
    story_path = "incident_id"
    verbs = (
        Verb(
            "retry",
            "Try again",
            try_again,
            right=RETRY,
            needs_reason=False,
            when=in_states("stopped", "dead"),
            text="The stage that stopped runs again from what the earlier ones found.",
        ),
        Verb(
            "revert",
            "Take back",
            revert.ask_revert,
            right=REVERT,
            is_grave=True,
            in_bulk=False,
            when=lambda trace: trace.state != LoopTrace.State.REVERTED,
            text="What only this loop caused is withdrawn, once somebody else has approved.",
        ),
    )


@admin.register(models.LoopStep)
class LoopStepAdmin(EvidenceAdmin):
    """The work of the loop, step by step."""

    list_display = (
        "trace",
        "stage",
        "state_badge",
        "attempts",
        "failure_state",
        "waits_for",
        "when",
        "story",
    )
    list_filter = ("state", "stage", "failure_state")
    list_select_related = ("trace",)
    search_fields = ("=waits_for", "=gesture")
    story_path = "trace.incident_id"
    exclude = ("claim_token",)


@admin.register(models.LoopEvent)
class LoopEventAdmin(EvidenceAdmin):
    """Everything that happened."""

    list_display = ("headline", "type", "actor", "simulated", "when", "cause", "story")
    list_filter = ("simulated", "stage")
    list_select_related = ("trace",)
    search_fields = ("^headline", "=type", "=subject", "=gesture")
    story_path = "trace.incident_id"
    ordering = ("-seq",)
    exclude = ("seq",)  # one sequence for all tenants: see story/places.py


@admin.register(models.Run)
class RunAdmin(EvidenceAdmin):
    """The runs of agents."""

    list_display = ("name", "agent", "refused", "simulated", "when")
    list_filter = ("refused", "simulated")
    list_select_related = ("agent",)
    search_fields = ("^name",)


@admin.register(models.Account)
class AccountAdmin(RecordAdmin):
    """Service accounts: what agents sign in as."""

    list_display = ("name", "when")
    ordering = ("name",)
    search_fields = ("^name",)


@admin.register(models.ApiToken)
class ApiTokenAdmin(RecordAdmin):
    """Tokens, of which only the hash is kept; ``create_token`` on the server makes them."""

    list_display = ("name", "owner", "prefix", "state_badge", "last_used", "when")
    list_select_related = ("account", "user")
    search_fields = ("^name", "^prefix")
    verbs = (
        Verb(
            "revoke",
            "Revoke",
            tokens.revoke,
            right=MANAGE_TOKENS,
            is_grave=True,
            when=lambda token: token.revoked_at is None,
            text="It is refused from the next request on, for good.",
        ),
    )

    @display(description="owner")
    def owner(self, record: models.ApiToken) -> str:
        """Whose it is."""
        return str(record.account.name if record.account else record.user)

    @display(description="state", label=BADGES)
    def state_badge(self, record: Any) -> str:
        return "revoked" if record.revoked_at else "active"

    @display(description="last used", ordering="last_used_at")
    def last_used(self, record: models.ApiToken) -> str:
        """To about a minute."""
        return ago(record.last_used_at)


CHECKPOINTS = forms.MultipleChoiceField(
    choices=Checkpoint.Type.choices, required=False, widget=forms.CheckboxSelectMultiple
)
ASKED = forms.fields_for_model(
    models.Settings,
    (
        "confirmations",
        "default_verdict",
        "strict_agents",
        "automatic_activation",
        "hallucination_may_block",
        "exploration_percent",
        "llm_recoveries",
    ),
)


@admin.register(models.Settings)
class SettingsAdmin(RecordAdmin):
    """What the tenant decided about its own governance."""

    list_display = (
        "__str__",
        "confirmations",
        "default_verdict",
        "automatic_activation",
        "strict_agents",
    )
    verbs = (
        Verb(
            "change",
            "Change",
            lambda settings, **changes: tenants.change_settings(**changes),
            right=MANAGE_SETTINGS,
            in_bulk=False,
            fields=ASKED | {"checkpoints_off": CHECKPOINTS, "checkpoints_advisory": CHECKPOINTS},
        ),
        *SETTINGS_VERBS,
    )


@admin.register(models.Switch)
class SwitchAdmin(RecordAdmin):
    """The tenant's switches that were ever turned; the console's page has them all."""

    list_display = ("name", "state_badge", "reason")
    verbs = (
        Verb(
            "on",
            "Turn on",
            lambda switch, **why: loop.set_switch(switch.name, on=True, **why),
            right=SWITCH,
            when=lambda switch: not switch.on,
        ),
        Verb(
            "off",
            "Turn off",
            lambda switch, **why: loop.set_switch(switch.name, on=False, **why),
            right=SWITCH,
            when=lambda switch: switch.on,
            is_grave=True,
        ),
    )

    @display(description="state", ordering="on", label=BADGES)
    def state_badge(self, record: Any) -> str:
        return "on" if record.on else "off"


@admin.register(models.IdempotentRequest)
class IdempotentRequestAdmin(EvidenceAdmin):
    """What callers may safely send twice, and the answers they got."""

    list_display = ("key", "principal", "status", "when")
    list_filter = ("status",)
    search_fields = ("^key",)


def set_role(membership: Membership, *, actor: Actor, reason: str, role: str) -> None:
    """Give a member another role."""
    tenants.add_member(membership.tenant, membership.user, role, actor=actor)


@admin.register(models.Membership)
class MembershipAdmin(RecordAdmin):
    """Who belongs to the tenant, and as what. Who runs the server sees every tenant's, and may add."""

    list_display = ("user", "tenant", "role")
    list_filter = ("role",)
    list_select_related = ("user", "tenant")
    search_fields = ("^user__username",)
    verbs = (
        Verb(
            "role",
            "Change the role",
            set_role,
            right=MANAGE_MEMBERS,
            in_bulk=False,
            fields={"role": forms.ChoiceField(choices=Role.choices)},
        ),
    )
    fields = ("user", "tenant", "role")
    opened_by: ClassVar[Right] = MANAGE_MEMBERS

    def has_view_permission(self, request: HttpRequest, obj: Model | None = None) -> bool:
        own = getattr(request, "membership", None)
        return may(own, MANAGE_MEMBERS) or (own is None and self.has_add_permission(request))

    def has_add_permission(self, request: HttpRequest) -> bool:
        # Inside a tenant's scope another tenant's ledger could not be written.
        return bool(request.user.is_superuser) and getattr(request, "membership", None) is None

    def get_queryset(self, request: HttpRequest) -> QuerySet[Any]:
        own = getattr(request, "membership", None)
        found: QuerySet[Any] = super().get_queryset(request)
        return found.filter(tenant_id=own.tenant_id) if own else found

    def save_model(self, request: HttpRequest, obj: Any, form: Any, change: Any) -> None:
        try:
            made = tenants.add_member(obj.tenant, obj.user, obj.role, actor=actor_of(request))
        except Refusal as refusal:
            raise PermissionDenied(str(refusal)) from refusal
        obj.pk = made.pk


QUOTAS = ("requests_per_minute", "token_requests_per_minute")


@admin.register(models.Tenant)
class TenantAdmin(GlobalAdmin):
    """The tenants of this server."""

    list_display = ("name", "slug", *QUOTAS, "created_at")
    fields = ("name", "slug", *QUOTAS)
    ordering = ("name",)
    search_fields = ("^name", "^slug")

    def get_readonly_fields(
        self, request: HttpRequest, obj: Model | None = None
    ) -> tuple[str, ...]:
        return ("slug",) if obj else ()

    def save_model(self, request: HttpRequest, obj: Any, form: Any, change: Any) -> None:
        """A new tenant is made with its settings; of an old one the name and the quotas can be changed."""
        if change:
            name, quotas = obj.name, {each: getattr(obj, each) for each in QUOTAS}
            obj.refresh_from_db()
            actor, reason = actor_of(request), "Edited by who runs the server."
            tenants.rename(obj, name, actor=actor, reason=reason)
            if any(getattr(obj, each) != quota for each, quota in quotas.items()):
                tenants.change_limits(obj, actor=actor, reason=reason, **quotas)
        else:
            obj.pk = tenants.make_tenant(obj.slug, name=obj.name, actor=actor_of(request)).pk

    def has_add_permission(self, request: HttpRequest) -> bool:
        return super().has_add_permission(request) and getattr(request, "membership", None) is None


class CountedAdmin(GlobalAdmin):
    """What the product counts by itself, and nobody else writes."""

    def has_add_permission(self, request: HttpRequest) -> bool:
        return False

    def has_change_permission(self, request: HttpRequest, obj: Model | None = None) -> bool:
        return False


@admin.register(models.SignIn)
class SignInAdmin(CountedAdmin):
    """Who tried to sign in, from where, and whether it was them."""

    list_display = ("user", "address", "succeeded", "at")
    list_filter = ("succeeded",)
    list_select_related = ("user",)
    search_fields = ("^user__username", "^address")
    ordering = ("-id",)


@admin.register(models.Allowance)
class AllowanceAdmin(CountedAdmin):
    """How far ahead of the clock callers are: a minute ahead is an empty bucket."""

    list_display = ("key", "due")
    search_fields = ("^key",)
    ordering = ("-due",)


@admin.register(models.GlobalSwitch)
class GlobalSwitchAdmin(GlobalAdmin):
    """The switches that are stronger than every tenant's own."""

    list_display = ("name", "on", "reason")

    def save_model(
        self, request: HttpRequest, obj: models.GlobalSwitch, form: Any, change: Any
    ) -> None:
        loop.set_switch_everywhere(obj.name, on=obj.on, actor=actor_of(request), reason=obj.reason)

    def formfield_for_dbfield(self, db_field: Any, request: HttpRequest, **kwargs: Any) -> Any:
        if db_field.name == "name":
            names = [WHOLE_LOOP, *bridges()]
            choices = [(name, name.replace("_", " ")) for name in names]
            return forms.ChoiceField(choices=choices, widget=UnfoldAdminSelectWidget)
        return super().formfield_for_dbfield(db_field, request, **kwargs)


@admin.register(models.Heartbeat)
class HeartbeatAdmin(GlobalAdmin):
    """Which processes beside the web are at work; they say so themselves."""

    list_display = ("kind", "instance", "seen_at", "promised_until")
    list_filter = ("kind",)

    def has_add_permission(self, request: HttpRequest) -> bool:
        return False

    def has_change_permission(self, request: HttpRequest, obj: Model | None = None) -> bool:
        return False


@admin.register(User)
class PeopleAdmin(UserAdmin, GlobalAdmin):  # type: ignore[type-arg]
    """The people who can sign in. What they may do is said by their memberships."""

    form = UserChangeForm
    add_form = UserCreationForm
    change_password_form = AdminPasswordChangeForm
    list_display = ("username", "email", "is_active", "is_staff", "is_superuser", "last_login")
    list_filter = ("is_active", "is_staff", "is_superuser")
    search_fields = ("^username", "^email")
    filter_horizontal: ClassVar[tuple[str, ...]] = ()
    fieldsets = (
        (None, {"fields": ("username", "password")}),
        ("Who", {"fields": ("first_name", "last_name", "email")}),
        ("May", {"fields": ("is_active", "is_staff", "is_superuser")}),
        ("When", {"fields": ("last_login", "date_joined")}),
    )
    readonly_fields = ("last_login", "date_joined")
