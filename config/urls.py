"""Every route of the site. The API answers with and without a trailing slash."""

from __future__ import annotations

from typing import Any

from django.contrib import admin
from django.urls import URLPattern, URLResolver, include, path, re_path
from django.views.generic import RedirectView
from drf_spectacular.views import SpectacularAPIView, SpectacularSwaggerView
from rest_framework.routers import SimpleRouter

from catalog.api import PatternViewSet
from governance.access.matrix import LOOK_IN
from governance.access.spine import event, spine
from governance.api import bypasses, ground, ledger, loop, operations, streams
from governance.api.checkpoints import CheckpointViewSet
from governance.screens.signing_in import sign_in
from incidents.api import IncidentViewSet
from policies.api import graduation, guard, policies, preventions, regrets
from recovery.api import RecoveryTemplateViewSet, RecoveryViewSet
from routing.api import AdjustmentViewSet, RouteView

from . import health


class SchemaView(SpectacularAPIView):
    """The API's description (OpenAPI 3.1)."""

    access = {"get": LOOK_IN}


router = SimpleRouter()
router.trailing_slash = "/?"  # its argument only says yes or no
router.register("incidents", IncidentViewSet, "incident")
router.register("patterns", PatternViewSet, "pattern")
router.register("recoveries", RecoveryViewSet, "recovery")
router.register("recovery-templates", RecoveryTemplateViewSet, "recovery-template")
router.register("policies", policies.PolicyViewSet, "policy")
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
    route("integration/graduation", graduation.GraduationView.as_view(), "graduation"),
    route(
        "integration/graduation/re-evaluate",
        graduation.ReEvaluateView.as_view(),
        "graduation-re-evaluate",
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
    path("api/v1/", include([*GUARD, *INTEGRATION, *OPERATIONS, *router.urls])),
    re_path("^api/schema/?$", SchemaView.as_view(), name="schema"),
    re_path("^api/docs/?$", SpectacularSwaggerView.as_view(url_name="schema"), name="docs"),
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
