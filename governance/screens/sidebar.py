"""The admin's sidebar: what waits first, then the stairs from the incident up, then the ground."""

from __future__ import annotations

from typing import Any

from django.http import HttpRequest
from django.urls import reverse

from ..access.matrix import MANAGE_MEMBERS
from .context import MOST_COUNTED, waiting_count
from .people import may

# (title, icon, the model's page in the admin or a page of the console)
GROUPS: tuple[tuple[str, tuple[tuple[str, str, str], ...]], ...] = (
    (
        "",
        (
            ("Checkpoints", "how_to_vote", "governance_checkpoint"),
            ("Incidents", "report", "incidents_incident"),
            ("Patterns", "fingerprint", "catalog_pattern"),
            ("Recoveries", "healing", "recovery_recovery"),
            ("Policies", "policy", "policies_policy"),
            ("Routing", "alt_route", "routing_adjustment"),
        ),
    ),
    (
        "Evidence",
        (
            ("Decisions", "gavel", "policies_decision"),
            ("Outcomes", "rule", "policies_outcome"),
            ("Preventions", "shield", "policies_prevention"),
            ("Regrets", "sentiment_dissatisfied", "policies_regret"),
            ("Demotions", "trending_down", "policies_demotion"),
            ("Would have blocked", "visibility", "policies_wouldblock"),
            ("Let pass", "lock_open", "policies_letpass"),
            ("Evidence of policies", "fact_check", "policies_evidence"),
            ("Reported again", "repeat", "incidents_repeats"),
            ("Other names of incidents", "alternate_email", "incidents_alias"),
            ("Matches", "compare_arrows", "catalog_patternmatch"),
            ("Taught", "school", "catalog_teaching"),
            ("Signatures", "match_word", "catalog_patternsignature"),
            ("Keys of patterns", "key_visualizer", "catalog_patternkey"),
            ("Judged matches", "thumbs_up_down", "policies_matchverdict"),
            ("Calibrations", "tune", "policies_calibration"),
            ("Views of stories", "visibility", "policies_timelineview"),
        ),
    ),
    (
        "Loop",
        (
            ("Traces", "timeline", "governance_looptrace"),
            ("Steps", "stairs", "governance_loopstep"),
            ("Events", "event_note", "governance_loopevent"),
            ("Ledger", "menu_book", "governance_ledgerentry"),
            ("Signed notes", "signature", "governance_ledgernote"),
        ),
    ),
    (
        "Means",
        (
            ("Recovery templates", "description", "recovery_recoverytemplate"),
            ("Directives", "signpost", "recovery_directive"),
            ("Outside calls", "call_made", "recovery_outsidecall"),
            ("Freezes", "ac_unit", "routing_freeze"),
        ),
    ),
    (
        "People and agents",
        (
            ("Agents", "smart_toy", "governance_agent"),
            ("Runs", "directions_run", "governance_run"),
            ("Accounts", "badge", "governance_account"),
            ("Tokens", "key", "governance_apitoken"),
            ("Roles", "rule_settings", "console:roles"),
        ),
    ),
    (
        "Tenant",
        (
            ("Settings", "tune", "governance_settings"),
            ("Bypasses", "gpp_bad", "governance_bypass"),
            ("Switches", "toggle_on", "governance_switch"),
        ),
    ),
)
MEMBERS = ("Members", "group", "governance_membership")
SERVER = (
    ("Tenants", "domain", "governance_tenant"),
    ("People", "person", "governance_user"),
    ("Sign-ins", "login", "governance_signin"),
    ("Allowances", "speed", "governance_allowance"),
    ("Global switches", "power_settings_new", "governance_globalswitch"),
    ("Server modes", "tune", "governance_servermode"),
)


def navigation(request: HttpRequest) -> list[dict[str, Any]]:
    """The groups that this person may open."""
    membership = getattr(request, "membership", None)
    groups = list(GROUPS) if membership else []
    if may(membership, MANAGE_MEMBERS):
        groups.append(("Administration", (MEMBERS,)))
    if request.user.is_superuser:
        groups.append(("Server", SERVER if membership else (*SERVER, MEMBERS)))
    return [
        {
            "title": title,
            "separator": bool(title),
            "collapsible": False,
            "items": [_item(*item) for item in items],
        }
        for title, items in groups
    ]


def waiting(request: HttpRequest) -> str:
    """The badge of the checkpoints."""
    count = waiting_count()
    return f"{MOST_COUNTED - 1}+" if count >= MOST_COUNTED else str(count)


def _item(title: str, icon: str, name: str) -> dict[str, Any]:
    link = reverse(name if ":" in name else f"admin:{name}_changelist")
    item = {"title": title, "icon": icon, "link": link}
    if name == "governance_checkpoint":
        item |= {"badge": f"{__name__}.waiting", "badge_variant": "warning"}
    return item
