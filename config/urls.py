"""Every route of the site. The API answers with and without a trailing slash."""

from __future__ import annotations

from typing import Any

from django.contrib import admin
from django.urls import URLPattern, URLResolver, include, path, re_path
from django.views.generic import RedirectView
from drf_spectacular.views import SpectacularSwaggerView
from rest_framework.routers import SimpleRouter

from catalog.api import MatchViewSet, PatternViewSet, exchange, reading, teachings
from governance.access.spine import BATCH_SECONDS, event, spine
from governance.api import bypasses, ground, ledger, loop, operations, streams
from governance.api.checkpoints import CheckpointViewSet
from governance.screens.signing_in import sign_in
from incidents.api import alertmanager, cloudevents, otlp, pagerduty, sentry
from incidents.api.incidents import IncidentViewSet
from policies.api import (
    calibrations,
    graduation,
    guard,
    overruling,
    policies,
    policy_sets,
    preventions,
    records,
    regrets,
)
from policies.views.coverage import show_coverage
from recovery.api import RecoveryTemplateViewSet, RecoveryViewSet
from routing.api import AdjustmentViewSet, RouteView

from . import health
from .described import SchemaView

router = SimpleRouter()
router.trailing_slash = "/?"  # its argument only says yes or no
router.register("incidents", IncidentViewSet, "incident")
router.register("patterns", PatternViewSet, "pattern")
router.register("teachings", teachings.TeachingViewSet, "teaching")
router.register("matches", MatchViewSet, "match")
router.register("recoveries", RecoveryViewSet, "recovery")
router.register("recovery-templates", RecoveryTemplateViewSet, "recovery-template")
router.register("policies", policies.PolicyViewSet, "policy")
router.register("policy-sets", policy_sets.PolicySetViewSet, "policy-set")
router.register("regrets", regrets.RegretViewSet, "regret")
router.register("preventions", preventions.PreventionViewSet, "prevention")
router.register("adjustments", AdjustmentViewSet, "adjustment")
router.register("checkpoints", CheckpointViewSet, "checkpoint")
router.register("ledger/entries", ledger.LedgerEntryViewSet, "ledger-entry")
router.register("agents", ground.AgentViewSet, "agent")


def route(address: str, view: Any, name: str) -> URLPattern:
    """One address of the API with an optional trailing slash; ``{x}`` is one segment of it."""
    pattern = address.replace("{", "(?P<").replace("}", ">[^/]+)")
    made: URLPattern = re_path(f"^{pattern}/?$", view, name=name)
    return made


GUARD = [
    route("guard/decisions", spine(guard.DecisionsView.as_view()), "decisions"),
    route("guard/decisions/{id}", guard.DecisionView.as_view(), "decision"),
    route("guard/decisions/{id}/appeal", event(guard.AppealView.as_view()), "appeal"),
    route("guard/decisions/{id}/overrule", event(overruling.OverruleView.as_view()), "overrule"),
    route("guard/outcomes", event(guard.OutcomesView.as_view()), "outcomes"),
    route("guard/simulate", spine(guard.SimulateView.as_view()), "simulate"),
]
INTEGRATION = [
    route("integration/loop/{incident}", loop.LoopView.as_view(), "loop"),
    route("integration/loop/{incident}/stages", loop.StagesView.as_view(), "loop-stages"),
    route("integration/loop/{incident}/stream", streams.loop_stream, "loop-stream"),
    route("integration/loop/{incident}/retry/{stage}", loop.RetryView.as_view(), "loop-retry"),
    route("integration/loop/{incident}/revert", loop.RevertView.as_view(), "loop-revert"),
    route("integration/stats", loop.StatsView.as_view(), "stats"),
    route("integration/timeline/{incident}", loop.TimelineView.as_view(), "timeline"),
    route("integration/rates", records.RatesView.as_view(), "rates"),
    route("integration/graduation", graduation.GraduationView.as_view(), "graduation"),
    route(
        "integration/graduation/re-evaluate",
        graduation.ReEvaluateView.as_view(),
        "graduation-re-evaluate",
    ),
    route(
        "integration/graduation/simulate/forget",
        graduation.ForgetSimulationsView.as_view(),
        "forget-simulations",
    ),
    route(
        "integration/graduation/simulate/prevention",
        graduation.SimulatePreventionView.as_view(),
        "simulate-prevention",
    ),
    route(
        "integration/graduation/simulate/regret",
        graduation.SimulateRegretView.as_view(),
        "simulate-regret",
    ),
    route(
        "integration/graduation/simulate/timeline-view",
        graduation.SimulateTimelineViewView.as_view(),
        "simulate-timeline-view",
    ),
]
PATTERNS = [
    route("patterns/export", exchange.ExportView.as_view(), "patterns-export"),
    route("patterns/import", exchange.ImportView.as_view(), "patterns-import"),
    route("patterns/{id}/occurrences", reading.OccurrencesView.as_view(), "pattern-occurrences"),
    route("patterns/{id}/similar", reading.SimilarView.as_view(), "pattern-similar"),
    route("patterns/{id}/merge", teachings.MergeView.as_view(), "merge-pattern"),
    route("patterns/{id}/split", teachings.SplitView.as_view(), "split-pattern"),
    route("patterns/{id}/move", teachings.MoveView.as_view(), "move-incidents"),
    route("patterns/{id}/rename", teachings.RenameView.as_view(), "rename-pattern"),
    route("patterns/{id}/silence", teachings.SilenceView.as_view(), "silence-pattern"),
    route("patterns/{id}/heed", teachings.HeedView.as_view(), "heed-pattern"),
]
# What clients of other protocols are pointed at; each adds what its protocol has at the end.
INTAKE = [
    route(
        "intake/alertmanager",
        event(alertmanager.AlertmanagerView.as_view(), BATCH_SECONDS),
        "intake-alertmanager",
    ),
    route(
        "intake/cloudevents",
        event(cloudevents.CloudEventsView.as_view(), BATCH_SECONDS),
        "intake-cloudevents",
    ),
    route("intake/otlp/v1/traces", event(otlp.TracesView.as_view(), BATCH_SECONDS), "intake-otlp"),
    route(
        "intake/pagerduty/v2/enqueue",
        event(pagerduty.EnqueueView.as_view()),
        "intake-pagerduty",
    ),
]
# Where the clients of Sentry look, whatever else is in their DSN.
SENTRY = [
    re_path(
        f"^api/(?P<project>[0-9]+)/{door}/?$", event(view.as_view()), name=f"intake-sentry-{door}"
    )
    for door, view in (("envelope", sentry.EnvelopeView), ("store", sentry.StoreView))
]
CALIBRATION = [
    route("patterns/{id}/calibration", calibrations.CalibrationView.as_view(), "calibration"),
    route("patterns/{id}/calibration/weigh", calibrations.WeighView.as_view(), "weigh"),
    route("patterns/{id}/calibration/freeze", calibrations.FreezeView.as_view(), "freeze"),
    route("patterns/{id}/calibration/thaw", calibrations.ThawView.as_view(), "thaw"),
    route(
        "patterns/{id}/calibration/revert", calibrations.RevertCalibrationView.as_view(), "unlearn"
    ),
    route("patterns/{id}/calibration/judge", calibrations.JudgeMatchView.as_view(), "judge-match"),
]
OPERATIONS = [
    route("ops/state", operations.StateView.as_view(), "state"),
    route("ops/agent-stop", operations.AgentStopView.as_view(), "agent-stop"),
    route("ops/degraded", operations.DegradedView.as_view(), "degraded"),
    route("ops/bypass", bypasses.BypassesView.as_view(), "bypasses"),
    route("ops/bypass/{id}", bypasses.BypassView.as_view(), "bypass"),
    route("ops/bypass/{id}/confirm", bypasses.ConfirmBypassView.as_view(), "bypass-confirm"),
    route("ops/bypass/{id}/end", bypasses.EndBypassView.as_view(), "bypass-end"),
    route("ops/switches", ground.SwitchesView.as_view(), "switches"),
    route("ledger/note", ledger.NoteView.as_view(), "ledger-note"),
    route("ledger/consistency", ledger.ConsistencyView.as_view(), "ledger-consistency"),
    route("routing/weights", RouteView.as_view(), "weights"),
]

urlpatterns: list[URLPattern | URLResolver] = [
    path("", RedirectView.as_view(url="/console/"), name="home"),
    path("console", RedirectView.as_view(url="/console/")),
    path("admin", RedirectView.as_view(url="/admin/")),
    path(
        "api/v1/",
        include(
            [*GUARD, *INTEGRATION, *PATTERNS, *INTAKE, *CALIBRATION, *OPERATIONS, *router.urls]
        ),
    ),
    *SENTRY,
    re_path("^api/schema/?$", SchemaView.as_view(), name="schema"),
    re_path("^api/docs/?$", SpectacularSwaggerView.as_view(url_name="schema"), name="docs"),
    re_path("^console/coverage/?$", show_coverage, name="coverage"),
    path("console/", include("catalog.urls")),
    path("console/", include("policies.urls")),
    path("console/", include("governance.screens.urls")),
    path("admin/login/", sign_in, name="sign-in"),
    path("admin/", admin.site.urls),
    path("livez", health.livez, name="livez"),
    path("readyz", health.readyz, name="readyz"),
    path("metrics", health.metrics, name="metrics"),
]
handler400 = "governance.access.problems.bad_request"
handler404 = "governance.access.problems.not_found"
handler500 = "governance.access.problems.server_error"
