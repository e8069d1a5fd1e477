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
from policies import variables
from policies.conditions import SOURCE_LIMIT, ConditionError, compile_condition
from policies.models import Decision, Policy, PolicyVersion
from policies.services import confirmations, life, rates, record, touched, versions

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
        help_text="One expression in CEL that is true or false about a call.",
    )
    action = forms.ChoiceField(choices=Policy.Action.choices, initial=Policy.Action.BLOCK)
    category = forms.ChoiceField(choices=Policy.Category.choices, initial=Policy.Category.CUSTOM)
    scope_id = forms.CharField(
        max_length=200,
        required=False,
        label="Only for the agent",
        help_text="An agent's name; empty: every agent of the tenant.",
    )
    failure_mode = forms.ChoiceField(
        choices=[
            (Policy.FailureMode.FAIL_CLOSED, "it counts as met (fail closed)"),
            (Policy.FailureMode.FAIL_OPEN, "it lets the call pass (fail open)"),
        ],
        label="Where it cannot tell",
        help_text="A name that is missing, a value of another type, too many steps.",
    )
    bind_at = forms.ChoiceField(
        choices=[
            (Policy.BindAt.EACH_STEP, "every run, from its next decision on"),
            (Policy.BindAt.FIRST_TOKEN, "runs that have not called a model yet"),
            (Policy.BindAt.RUN_START, "runs that begin after that"),
        ],
        label="Once in force it holds for",
    )

    def clean_condition(self) -> str:
        """The condition. Raises ValidationError, in the author's words, for one that cannot be saved."""
        condition: str = self.cleaned_data["condition"]
        try:
            compile_condition(condition)
        except ConditionError as error:
            raise forms.ValidationError(error.message) from error
        return condition


EXAMPLES = (
    ("arguments.amount > 1000", "a number in the arguments"),
    ('arguments.path.startsWith("/etc/")', "the beginning of a text"),
    ('arguments.sql.matches("(?i)\\\\bdrop\\\\b")', "a word in a query, whatever its case (RE2)"),
    ('"phone" in arguments && size(arguments.phone) < 7', "an argument that may be missing"),
    ("history.same_call_failures >= 2", "this very call has failed twice in its run"),
    ('environment == "production" && cost.usd > 0.5', "what the agent told in its context"),
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
    touches = None
    if request.method == "POST" and form.is_valid() and "try" in request.POST:
        touches = touched.blast_radius(Policy(**_said(form.cleaned_data)))
    elif request.method == "POST" and form.is_valid():
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
    context = {
        "form": form,
        "touches": touches,
        "examples": EXAMPLES,
        "variables": variables.ALL,
        "kinds": Decision.Kind.values,
    }
    return render(request, "policies/write.html", context, status=400 if form.errors else 200)


def _draft(request: HttpRequest, said: dict[str, Any]) -> Policy:
    return life.draft_manual(**_said(said), actor=actor_of(request))


def _said(form: dict[str, Any]) -> dict[str, Any]:
    """The form's words as a policy's."""
    return {**form, "scope_type": Policy.Scope.AGENT if form["scope_id"] else Policy.Scope.TENANT}


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
