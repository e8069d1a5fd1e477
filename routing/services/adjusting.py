"""Adjust: one open adjustment for each policy, agent and capability, supported by every incident that needs it."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from django.db.models import QuerySet
from django.db.models.functions import Now

from governance import ledger
from governance.actors import Actor
from governance.database.compiled import ask, compiled
from governance.database.inserts import insert
from governance.gestures import caused_by
from governance.models import Checkpoint, FailureState, Stage
from governance.story.events import tell
from incidents.models import Incident
from policies.models import Policy

from ..models import Adjustment, AdjustmentEvidence, Adjustments
from ..rules import DECAY, Verdict
from . import kpi
from .ending import end_adjustments
from .guardrails import Limits, Questions, one_at_a_time, that_hold_nothing, that_may_wait
from .proposals import Key, Proposal, propose

REGRESSION = FailureState.ROUTING_KPI_REGRESSION
REGRESSION_HOLDS = timedelta(days=7)
"""How long a weight is left alone after its adjustment made things worse: as long as one would have lasted."""


@dataclass(frozen=True, slots=True)
class Need:
    """One incident whose active policy may ask for an adjustment.

    ``override_id`` is the question that was asked for it before, ``accepts`` the rolled-back adjustment that a
    person has seen before trying again, ``gesture`` what made its step ready.
    """

    incident: Incident
    policy: Policy
    trace_id: str
    override_id: str = ""
    accepts: str = ""
    gesture: str = ""


@dataclass(frozen=True, slots=True)
class Unmoved:
    """The policy asks nothing of routing."""


@dataclass(frozen=True, slots=True)
class Adjusted:
    """The adjustment that this incident made, or now supports."""

    adjustment: Adjustment
    proposal: Proposal
    is_new: bool


@dataclass(frozen=True, slots=True)
class HeldBack:
    """The governor said no; ``question`` is what a person was asked, None where nobody is asked."""

    verdict: Verdict
    proposal: Proposal
    question: Checkpoint | None


@dataclass(frozen=True, slots=True)
class Overruled:
    """A person, or time, said no to lifting the governor's no."""

    question: Checkpoint


@dataclass(frozen=True, slots=True)
class Regressed:
    """The last such adjustment made the success rate fall and was rolled back."""

    adjustment: Adjustment
    proposal: Proposal


Result = Unmoved | Adjusted | HeldBack | Overruled | Regressed


def adjust_routing(needs: Sequence[Need]) -> list[Result]:
    """Make or support the adjustment that each need's policy asks for; one result for each, in order.

    Two queries for any number of needs whose adjustments are open already. Call it again with what came of a
    question (``override_id``): approved means that the governor is not asked.
    """
    proposals = [propose(n.policy, n.incident.agent, n.incident.tool) for n in needs]
    standing = _by_key(_open_of(**_parts(proposals)) if any(proposals) else ())
    opening: _Opening | None = None
    results: list[Result] = []
    for need, proposal in zip(needs, proposals, strict=True):
        if proposal is None:
            results.append(Unmoved())
        elif adjustment := standing.get(proposal.key):
            results.append(Adjusted(adjustment, proposal, is_new=False))
        else:
            opening = opening or _Opening.begin(needs, proposals)
            with caused_by(need.gesture):
                results.append(opening.settle(need, proposal))
    _keep_evidence(needs, results)
    return results


@dataclass(slots=True)
class _Opening:
    """What is needed to open adjustments, one transaction at a time, read once for all of a batch."""

    standing: dict[Key, Adjustment]
    regressed: dict[Key, Adjustment]
    questions: Questions
    limits: Limits

    @classmethod
    def begin(cls, needs: Sequence[Need], proposals: Sequence[Proposal | None]) -> _Opening:
        one_at_a_time()
        end_adjustments()
        parts = _parts(proposals)
        standing, latest, waiting, loose, limits = ask(
            _open_of.ready(**parts),
            _latest_of.ready(**parts),
            that_may_wait.ready([need.override_id for need in needs if need.override_id]),
            that_hold_nothing.ready(),
            Limits.asking(),
        )
        regressed = (one for one in latest if one.failure_state == REGRESSION)
        questions = Questions.of([*waiting, *loose])
        return cls(_by_key(standing), _by_key(regressed), questions, limits)

    def settle(self, need: Need, proposal: Proposal) -> Result:
        if adjustment := self.standing.get(proposal.key):
            return Adjusted(adjustment, proposal, is_new=False)
        regressed = self.regressed.get(proposal.key)
        if regressed and need.accepts != regressed.id:
            return Regressed(regressed, proposal)
        answer = self.questions.answer(need.override_id, proposal)
        if answer and answer.state in (Checkpoint.State.REJECTED, Checkpoint.State.EXPIRED):
            return Overruled(answer)
        if not (answer and answer.state == Checkpoint.State.APPROVED):
            verdict = self.limits.verdict(proposal)
            if not verdict.is_allowed:
                return self._hold_back(need, proposal, verdict)
        return self._open(proposal)

    def _hold_back(self, need: Need, proposal: Proposal, verdict: Verdict) -> HeldBack:
        self.limits.freeze(verdict, proposal)
        question = self.questions.ask(
            proposal, verdict, incident_id=need.incident.id, trace_id=need.trace_id
        )
        return HeldBack(verdict, proposal, question)

    def _open(self, proposal: Proposal) -> Adjusted:
        adjustment = Adjustment.objects.create(
            policy=proposal.policy,
            agent=proposal.agent,
            capability=proposal.capability,
            type=proposal.type,
            magnitude=proposal.magnitude,
            kpi_baseline=kpi.baseline(proposal.agent.id, proposal.capability),
            started_at=Now(),
            ends_at=Now() + DECAY,
            reason=f"{proposal.policy.action} by {proposal.policy.name}",
        )
        # The database's clock has set its times.
        [(adjustment.started_at, adjustment.ends_at)] = _times_of(adjustment.id)
        self.standing[proposal.key] = adjustment
        self.limits.note(proposal)
        self.questions.settle(proposal)
        return Adjusted(adjustment, proposal, is_new=True)


@compiled
def _times_of(id: str) -> QuerySet[Adjustment, tuple[datetime, datetime]]:
    return Adjustment.objects.filter(id=id).order_by().values_list("started_at", "ends_at")


def decided_override(checkpoint: Checkpoint, actor: Actor) -> None:
    """Make the adjustment that a person let pass, where no loop waits to do it.

    A loop that waits lands again by itself. Nothing is made when the policy is no longer active, or no longer
    asks for what was shown.
    """
    if checkpoint.state != Checkpoint.State.APPROVED or checkpoint.blocking:
        return
    policy = Policy.objects.active().filter(pk=checkpoint.shown["policy_id"]).first()
    incident = Incident.objects.select_related("agent").filter(pk=checkpoint.subject).first()
    if policy is None or incident is None:
        return
    need = Need(incident, policy, checkpoint.trace_id or "", override_id=checkpoint.id)
    [result] = adjust_routing([need])
    if isinstance(result, Adjusted) and result.is_new:
        adjustment = result.adjustment
        ledger.append("adjustment.open", adjustment.id, actor=actor, checkpoint=checkpoint.id)
        if checkpoint.trace_id:
            tell(
                checkpoint.trace_id,
                Stage.ROUTING_ADJUSTED,
                f"Let pass by {actor.name or actor}: {result.proposal}",
                actor=actor,
                subject=adjustment.id,
                details={"adjustment_id": adjustment.id},
            )


def readjust(policy: Policy, *, actor: Actor) -> int:
    """Let the open adjustments of a re-activated policy count again; how many do.

    Nothing is written to them: they never stopped decaying, and a weight joins down to the policy. Loops that
    wait for the policy land again by themselves.
    """
    end_adjustments()
    again = _counting_of(policy.id)
    if again:
        ledger.append("routing.readjusted", policy.id, actor=actor, adjustments=again)
    return len(again)


@compiled
def _counting_of(policy: str) -> QuerySet[Adjustment, str]:
    return Adjustment.objects.counting().filter(policy_id=policy).values_list("id", flat=True)


def story(adjustment_id: str) -> dict[str, str] | None:
    """What an incident's story shows of an adjustment; None where there is none."""
    found = Adjustment.objects.filter(pk=adjustment_id).values_list("id", flat=True).first()
    return {"id": found} if found else None


def _by_key(found: Iterable[Adjustment]) -> dict[Key, Adjustment]:
    return {(one.policy_id, one.agent_id, one.capability): one for one in found}


@compiled
def _open_of(
    policies: Sequence[str], agents: Sequence[str], capabilities: Sequence[str]
) -> QuerySet[Adjustment]:
    """Those that have not run out."""
    return _of(policies, agents, capabilities).open().filter(ends_at__gt=Now())


@compiled
def _latest_of(
    policies: Sequence[str], agents: Sequence[str], capabilities: Sequence[str]
) -> QuerySet[Adjustment]:
    """The latest of each key, where it lasted until lately."""
    lately = _of(policies, agents, capabilities).filter(ends_at__gt=Now() - REGRESSION_HOLDS)
    key = ("policy_id", "agent_id", "capability")
    return lately.order_by(*key, "-id").distinct(*key)


def _of(policies: Sequence[str], agents: Sequence[str], capabilities: Sequence[str]) -> Adjustments:
    """A little more than the keys: every combination of their parts, which one index scan can find."""
    return Adjustment.objects.filter(
        policy_id__any=policies, agent_id__any=agents, capability__any=capabilities
    )


def _parts(proposals: Iterable[Proposal | None]) -> dict[str, list[str]]:
    """The distinct parts of the keys of proposals, by the names that ``_of`` has for them."""
    keys = [proposal.key for proposal in proposals if proposal]
    names = ("policies", "agents", "capabilities")
    return {name: list({key[place] for key in keys}) for place, name in enumerate(names)}


def _keep_evidence(needs: Sequence[Need], results: Sequence[Result]) -> None:
    rows = [
        AdjustmentEvidence(adjustment=result.adjustment, incident=need.incident)
        for need, result in zip(needs, results, strict=True)
        if isinstance(result, Adjusted)
    ]
    insert(rows, ignore_conflicts=True)
