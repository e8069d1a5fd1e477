"""Policies as people follow them: the list with what each did, one policy's life, and a form to write one."""

from __future__ import annotations

from typing import Any

from django import forms
from django.db import transaction
from django.db.models import QuerySet
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.utils import timezone

from governance import tenants
from governance.access.matrix import READ_LEDGER, WRITE_POLICIES
from governance.refusals import Invalid, Refusal
from governance.screens.pages import page, refuse
from governance.screens.paging import newest
from governance.screens.people import actor_of, may, names_of
from policies.conditions import SOURCE_LIMIT
from policies.models import Policy, PolicyVersion
from policies.services import confirmations, life, rates, record, versions

MODES = ("draft", "shadow", "pending", "active", "disabled")
DISABLED = (Policy.State.SUSPENDED, Policy.State.RETIRED)


class DraftForm(forms.Form):
    """A person's own policy."""

    name = forms.CharField(max_length=300, help_text="What it is for, as people will read it.")
    tool = forms.CharField(
        max_length=200, required=False, help_text="The one tool it is about; empty: every tool."
    )
    condition = forms.CharField(
        max_length=SOURCE_LIMIT,
        strip=False,
        widget=forms.Textarea(attrs={"rows": 4, "spellcheck": "false", "class": "code"}),
        help_text="CEL over action, arguments, context, agent and run.",
    )
    action = forms.ChoiceField(choices=Policy.Action.choices, initial=Policy.Action.BLOCK)
    category = forms.ChoiceField(choices=Policy.Category.choices, initial=Policy.Category.CUSTOM)
    scope_id = forms.CharField(
        max_length=200,
        required=False,
        label="Only for the agent",
        help_text="An agent's name; empty: every agent of the tenant.",
    )


@page()
def index(request: HttpRequest) -> HttpResponse:
    """Every policy, newest first, filtered by the address; and what 30 days came to."""
    now = timezone.now()
    lines = {line.id: line.rates for line in rates.by_policy(now)}
    found = newest(request, _filtered(request))
    context = {
        "rows": [(policy, lines.get(policy.id, rates.Rates(0, 0, 0))) for policy in found.records],
        "next": found.next,
        "tenant": rates.of_tenant(now),
        "patterns": rates.by_pattern(now)[:10],
        "filters": {name: request.GET.get(name, "") for name in ("mode", "source", "tool")},
        "modes": MODES,
        "sources": Policy.Source.values,
        "exploration": tenants.settings().exploration_percent,
    }
    return render(request, "policies/index.html", context)


@page()
def show(request: HttpRequest, policy_id: str) -> HttpResponse:
    """The life of one policy: what it says, what it did, what it is blamed for, its versions and its story."""
    policy = Policy.objects.select_related("trace").filter(pk=policy_id).first()
    if policy is None:
        raise Http404("There is no such policy.")
    membership = getattr(request, "membership", None)
    told = record.story_of(policy, with_reasons=may(membership, READ_LEDGER))
    names = names_of(one.actor for one in told if one.actor)
    context = {
        "policy": policy,
        "record": record.record_of(policy),
        "confirmations": confirmations(policy),
        "needed": tenants.settings().confirmations,
        "told": [(one, names.get(one.actor, "")) for one in reversed(told)],
        "refusals": record.refusals_of(policy),
        "versions": list(PolicyVersion.objects.filter(policy=policy).order_by("-number")[:50]),
        "diff": _compared(request, policy),
        "exploration": tenants.settings().exploration_percent,
    }
    return render(request, "policies/show.html", context)


@page(WRITE_POLICIES, methods=("GET", "POST"))
def write(request: HttpRequest) -> HttpResponse:
    """Write a policy by hand. It is a draft: the guard sees nothing of it until it is submitted to shadow."""
    form = DraftForm(request.POST or None)
    if request.method == "POST" and form.is_valid():
        try:
            with transaction.atomic():
                policy = _draft(request, form.cleaned_data)
        except Invalid as refusal:
            field = refusal.extra.get("field")
            form.add_error(field if field in form.fields else None, str(refusal))
        except Refusal as refusal:
            return refuse(request, "That was not drafted", str(refusal), status=refusal.status)
        else:
            return redirect("policies:show", policy.id)
    return render(
        request, "policies/write.html", {"form": form}, status=400 if form.errors else 200
    )


def _draft(request: HttpRequest, said: dict[str, Any]) -> Policy:
    scope = Policy.Scope.AGENT if said["scope_id"] else Policy.Scope.TENANT
    return life.draft_manual(
        said["name"],
        condition=said["condition"],
        action=said["action"],
        category=said["category"],
        scope_type=scope,
        scope_id=said["scope_id"],
        tool=said["tool"],
        actor=actor_of(request),
    )


def _compared(request: HttpRequest, policy: Policy) -> dict[str, Any] | None:
    """The two versions that the address names, else the newest and the one before it; None where there is one."""
    after = _number(request, "to") or policy.version
    before = _number(request, "from") or after - 1
    try:
        return versions.compare(policy, before, after)
    except Invalid:
        return None


def _number(request: HttpRequest, name: str) -> int:
    said = request.GET.get(name, "")
    return int(said) if said.isascii() and said.isdigit() and len(said) < 9 else 0


def _filtered(request: HttpRequest) -> QuerySet[Policy]:
    found = Policy.objects.all()
    if (mode := request.GET.get("mode", "")) in MODES:
        found = found.filter(state__in=DISABLED if mode == "disabled" else [mode])
    if (source := request.GET.get("source", "")) in Policy.Source.values:
        found = found.filter(source=source)
    if tool := request.GET.get("tool", "").replace("\x00", "").strip()[:200]:
        found = found.filter(tool=tool)
    return found
