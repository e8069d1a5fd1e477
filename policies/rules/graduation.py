"""Graduation: three gates that only real evidence opens."""

from dataclasses import dataclass
from datetime import datetime, timedelta

from policies.rules.prevention import prevention_rate
from policies.rules.regret import regret_rate

PREVENTION_RATE_NEEDED = 0.50
REGRET_RATE_ALLOWED = 0.30
DEGRADED_PREVENTION_RATE = 0.30
DEGRADED_REGRET_RATE = 0.50
DEGRADED_SILENCE = timedelta(days=14)


@dataclass(frozen=True)
class Evidence:
    """What happened in a tenant: rates over 30 days, the rest ever. Only `simulated_*` is simulated."""

    preventions: int = 0
    incidents: int = 0
    """Of patterns that had an active policy."""
    regrets: int = 0
    demotions: int = 0
    """Automatic ones."""
    timeline_views: int = 0
    """A signed-in person opened a timeline that shows A, the policy, and B prevented."""
    last_prevention_at: datetime | None = None
    simulated_preventions: int = 0
    simulated_demotions: int = 0
    simulated_views: int = 0
    was_graduated: bool = False


@dataclass(frozen=True)
class Gate:
    """One of the three: `evidence` counts what is real and decides, `simulated` only shows."""

    key: str
    name: str
    description: str
    passed: bool
    evidence: int
    simulated: int


@dataclass(frozen=True)
class Capability:
    """One thing that graduation locks or unlocks, and what unlocks it."""

    name: str
    title: str
    is_unlocked: bool
    needs: str


@dataclass(frozen=True)
class Graduation:
    """How far a tenant's loop has proved itself."""

    gates: tuple[Gate, Gate, Gate]
    degraded_because: tuple[str, ...]
    is_graduated: bool

    @property
    def status(self) -> str:
        passed = sum(gate.passed for gate in self.gates)
        name = (
            "GRADUATED" if self.is_graduated else "DEGRADED" if self.degraded_because else "ALPHA"
        )
        return f"{name} ({passed}/{len(self.gates)} gates)"

    @property
    def capabilities(self) -> dict[str, bool]:
        """What the tenant's loop may claim, and the one thing graduation unlocks."""
        return {one.name: one.is_unlocked for one in self.unlocks}

    @property
    def unlocks(self) -> tuple[Capability, ...]:
        """The capabilities in words. Only the last changes what the product does; the others are what it may claim."""
        prevention, rollback, console = self.gates
        return (
            Capability(
                "prevents_recurrence",
                "Failures that recur are prevented",
                prevention.passed,
                "gate 1",
            ),
            Capability(
                "corrects_itself",
                "Policies that do harm lose their force",
                rollback.passed,
                "gate 2",
            ),
            Capability("explains_itself", "People can read why, and did", console.passed, "gate 3"),
            Capability(
                "automatic_activation",
                "Confirmed policies may be put in force without a person, where the tenant allows it",
                self.is_graduated,
                "all three gates, and no degradation",
            ),
        )

    @property
    def next_action(self) -> str:
        """What would bring it on, for a person."""
        if self.degraded_because:
            return f"Look into: {'; '.join(self.degraded_because)}."
        missing = next((gate for gate in self.gates if not gate.passed), None)
        return missing.description if missing else "Nothing: all gates are passed."


def gates(evidence: Evidence, now: datetime) -> Graduation:
    """Judge a tenant's evidence at `now`.

    Graduated once all gates are passed, and from then on until it degrades: the bars to stay are lower
    than those to enter, so that it does not flicker.
    """
    three = (_prevention_gate(evidence), _rollback_gate(evidence), _console_gate(evidence))
    has_proved_itself = evidence.was_graduated or all(gate.passed for gate in three)
    reasons = degraded_because(evidence, now) if has_proved_itself else ()
    return Graduation(three, reasons, is_graduated=has_proved_itself and not reasons)


def degraded_because(evidence: Evidence, now: datetime) -> tuple[str, ...]:
    """Why a graduated tenant is no longer: empty when all is well. No data in a rate is no reason."""
    prevented = prevention_rate(evidence.preventions, evidence.incidents)
    regretted = regret_rate(evidence.regrets, evidence.preventions)
    last = evidence.last_prevention_at
    reasons = []
    if prevented is not None and prevented < DEGRADED_PREVENTION_RATE:
        reasons.append(f"prevention rate {prevented:.0%} is below {DEGRADED_PREVENTION_RATE:.0%}")
    if regretted is not None and regretted > DEGRADED_REGRET_RATE:
        reasons.append(f"regret rate {regretted:.0%} is above {DEGRADED_REGRET_RATE:.0%}")
    if last is None or now - last >= DEGRADED_SILENCE:
        reasons.append(f"nothing was prevented for {DEGRADED_SILENCE.days} days")
    return tuple(reasons)


def _prevention_gate(evidence: Evidence) -> Gate:
    rate = prevention_rate(evidence.preventions, evidence.incidents)
    return Gate(
        key="gate1_prevention",
        name="Prevention",
        description="A real failure is prevented, and at least half of those that recur.",
        passed=evidence.preventions > 0 and rate is not None and rate >= PREVENTION_RATE_NEEDED,
        evidence=evidence.preventions,
        simulated=evidence.simulated_preventions,
    )


def _rollback_gate(evidence: Evidence) -> Gate:
    rate = regret_rate(evidence.regrets, evidence.preventions)
    return Gate(
        key="gate2_rollback",
        name="Rollback",
        description="A policy that did harm is demoted by itself, and fewer than 30 % are regretted.",
        # A demotion older than the window leaves no rate, and no regret in it either.
        passed=evidence.demotions > 0 and (rate is None or rate < REGRET_RATE_ALLOWED),
        evidence=evidence.demotions,
        simulated=evidence.simulated_demotions,
    )


def _console_gate(evidence: Evidence) -> Gate:
    return Gate(
        key="gate3_console",
        name="Console",
        description="A signed-in person opens a timeline: a failure, its policy, the next one prevented.",
        passed=evidence.timeline_views > 0,
        evidence=evidence.timeline_views,
        simulated=evidence.simulated_views,
    )
