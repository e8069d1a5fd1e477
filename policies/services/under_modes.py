"""What becomes of a ruling under the modes that hold. Reads nothing and writes nothing."""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime

from governance.modes.current import InForce, Modes
from policies.models import Decision
from policies.rules import last_word

from .ruling import LONGEST_REASON, Ruling


def stopped(agent: str, why: str) -> Ruling:
    """The answer to every action of an agent that somebody stopped: the policies are not even asked."""
    return Ruling(
        Decision.Verdict.KILL,
        _text(f"The agent {agent!r} was stopped: nothing it asks for is allowed. {why}"),
        mode=Decision.Mode.AGENT_STOP,
    )


def under(said: Ruling, modes: Modes, *, is_new_run: bool) -> Ruling:
    """The answer to an agent that is not stopped, from what the policies said."""
    word = last_word(
        said.verdict,
        is_stopped=False,
        is_bypassed=modes.bypass is not None,
        is_degraded=modes.degraded is not None,
        is_new_run=is_new_run,
    )
    if modes.bypass is not None:
        strict = under(said, replace(modes, bypass=None), is_new_run=is_new_run)
        return replace(
            said,
            verdict=word.verdict,
            mode=word.mode,
            would_be=strict.verdict,
            retryable=False,
            reason=_bypassed(modes.bypass, strict),
        )
    if modes.degraded is None:
        return said
    notice = f"The product is degraded: {modes.degraded}"
    if not word.mode:
        return replace(said, reason=_text(said.reason, notice))
    if is_new_run:
        return replace(
            said,
            verdict=word.verdict,
            mode=word.mode,
            would_be=said.verdict,
            retryable=True,
            reason=_text("No new runs for now.", notice, said.reason),
        )
    return replace(
        said,
        verdict=word.verdict,
        mode=word.mode,
        would_be=said.verdict,
        reason=_text("Allowed, with a warning.", notice),
    )


def _bypassed(bypass: InForce, strict: Ruling) -> str:
    until = datetime.fromisoformat(bypass.ends_at)
    off = f"Governing is off until {until:%H:%M} UTC ({bypass.id}), so this is allowed."
    if strict.verdict == Decision.Verdict.ALLOW:
        return off
    return _text(off, f"It would have been {strict.verdict}: {strict.reason}")


def _text(*parts: str) -> str:
    return " ".join(part for part in parts if part)[:LONGEST_REASON]
