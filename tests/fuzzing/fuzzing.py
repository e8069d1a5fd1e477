"""Schemathesis at a running site: what it is given, and what came of it."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path

from .site import Site

CALLERS = ("agent", "reviewer", "admin")
OFTEN = 0.7  # how often a field that names something names what is there; otherwise anything
# The first sends everything twice more, without a token and with a wrong one: tests/governance/test_forged_tokens.py and
# the test of roles do so. Two that ask whether a body is refused exactly where the description refuses it. Ours says less than the rules do (what
# ``params`` must hold depends on ``kind``; 64 bits; which cursor is ours), and the rules answer with the field's name.
NOT_ASKED = "ignored_auth,positive_data_acceptance,negative_data_rejection"
GRACE_SECONDS = 120.0  # to begin, and to write down what came of it
# The lists whose ids a field of this name may hold.
NAMES = {
    "path.incident": "incidents", "body.incident_id": "incidents", "body.original_incident_id": "incidents",
    "body.decision_id": "guard/decisions", "body.pattern_id": "patterns", "body.policy_id": "policies",
}  # fmt: skip


@dataclass
class Outcome:
    """What one run asked and was answered."""

    statuses: Counter[int] = field(default_factory=Counter)
    by_operation: dict[str, Counter[int]] = field(default_factory=dict)
    said: str = ""
    failed: bool = False

    @property
    def answers(self) -> int:
        return sum(self.statuses.values())

    def figures(self) -> str:
        return ", ".join(f"{status}: {count}" for status, count in sorted(self.statuses.items()))


def fuzz(site: Site, who: str, described_at: Path, *, seconds: int, seed: int | None) -> Outcome:
    """Every operation that the API describes, as one of the callers, for so long."""
    return run_schemathesis(
        site.directory / f"schemathesis-{who}",
        str(described_at),
        site.url,
        site.headers(who),
        site.ids(),
        seconds=seconds,
        seed=seed,
    )


def run_schemathesis(
    place: Path,
    described_at: str,
    url: str,
    headers: dict[str, str],
    ids: dict[str, list[str]],
    *,
    seconds: int,
    seed: int | None,
) -> Outcome:
    """Every operation of a description, which is a file or an address, of the server at ``url``."""
    place.mkdir()
    config = place / "schemathesis.toml"
    config.write_text(_config(ids))
    command = [
        sys.executable, "-m", "schemathesis.cli", "--config-file", str(config), "--no-color", "run", described_at,
        "--url", url, "--checks", "all", "--exclude-checks", NOT_ASKED, "--max-time", str(seconds),
        "--continue-on-failure", "--suppress-health-check", "all", "--generation-database", "none",
        "--request-timeout", "30", "--warnings", "off",
        "--report", "ndjson", "--report-ndjson-path", str(place / "report.ndjson"),
    ]  # fmt: skip
    for name, value in headers.items():
        command += ["--header", f"{name}: {value}"]
    if seed is not None:
        command += ["--seed", str(seed)]
    ended = subprocess.run(
        command, cwd=place, env=_quiet(), capture_output=True, text=True, check=False, timeout=seconds + GRACE_SECONDS
    )  # fmt: skip
    outcome = read(place / "report.ndjson")
    outcome.said, outcome.failed = ended.stdout + ended.stderr, ended.returncode != 0
    return outcome


def read(report: Path) -> Outcome:
    """What a report says was answered."""
    outcome = Outcome()
    for line in report.read_text().splitlines():
        recorder = json.loads(line).get("ScenarioFinished", {}).get("recorder", {})
        for interaction in recorder.get("interactions", {}).values():
            answer = interaction.get("response")
            if answer is not None:
                address = recorder["label"]
                outcome.statuses[answer["status_code"]] += 1
                outcome.by_operation.setdefault(address, Counter())[answer["status_code"]] += 1
    return outcome


def _quiet() -> dict[str, str]:
    return {**os.environ, "NO_COLOR": "1", "COLUMNS": "200"}


def _config(ids: dict[str, list[str]]) -> str:
    """Which fields hold ids that are there: without them nearly every answer would be 404."""
    known = {name: found for name, found in ids.items() if found}
    lines = ["[dictionaries]"]
    for name, values in known.items():
        lines.append(f'"{name}" = {{ values = {json.dumps(values)} }}')
    lines += ["", "[parameters]"]
    lines += [_binding(each, name) for each, name in NAMES.items() if name in known]
    for name in known:
        lines += ["", "[[operations]]", f'include-path-regex = "^/api/v1/{name}/"']
        lines += ["[operations.parameters]", _binding("path.id", name)]
    return "\n".join(lines) + "\n"


def _binding(parameter: str, dictionary: str) -> str:
    return f'"{parameter}" = {{ dictionary = "{dictionary}", probability = {OFTEN} }}'
