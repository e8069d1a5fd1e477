"""The real Alertmanager, sending its webhook; skipped where the program is absent."""

from __future__ import annotations

import json
import shutil
import subprocess
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import httpx
import pytest

from governance.database.tenancy import leave_tenant
from tests import factories
from tests.failmodes.product import free_port

from .conftest import Served

PROGRAM = shutil.which("prometheus-alertmanager") or shutil.which("alertmanager")
WEBHOOK = "/api/v1/intake/alertmanager"
PATIENCE_S = 60.0
LABELS = {"alertname": "ToolErrors", "agent": "scout", "severity": "critical"}
ALERT = {"status": "firing", "labels": LABELS, "annotations": {"summary": "too many"}, "startsAt": "2026-01-01T00:00:00.123456789Z", "endsAt": "0001-01-01T00:00:00Z", "generatorURL": "", "fingerprint": "f00d"}  # fmt: skip
GROUP = {"version": "4", "groupKey": "{}", "truncatedAlerts": 0, "status": "firing", "receiver": "antibody", "groupLabels": {}, "commonLabels": {}, "commonAnnotations": {}, "externalURL": "http://am", "alerts": [ALERT]}  # fmt: skip


@contextmanager
def alertmanager(served: Served, place: Path) -> Iterator[str]:
    """The program, told as an operator tells it; its own address."""
    config = {
        "route": {"receiver": "antibody", "group_by": ["..."], "group_wait": "0s", "group_interval": "1s", "repeat_interval": "1s"},
        "receivers": [{"name": "antibody", "webhook_configs": [{
            "url": f"http://{served.host}{WEBHOOK}", "send_resolved": True,
            "http_config": {"authorization": {"credentials": served.token}},
        }]}],
    }  # fmt: skip
    (place / "am.yml").write_text(json.dumps(config))  # JSON is YAML
    port = free_port()
    command = [
        str(PROGRAM), f"--config.file={place / 'am.yml'}", f"--storage.path={place / 'am'}",
        f"--web.listen-address=127.0.0.1:{port}", "--cluster.listen-address=",
    ]  # fmt: skip
    with (place / "am.log").open("wb") as log, subprocess.Popen(command, stdout=log, stderr=log) as running:  # fmt: skip
        try:
            until(lambda: answers(f"http://127.0.0.1:{port}/-/ready"))
            yield f"http://127.0.0.1:{port}"
        finally:
            running.terminate()


def answers(address: str) -> bool:
    try:
        return httpx.get(address).status_code == 200
    except httpx.TransportError:
        return False


def until(holds: Callable[[], Any]) -> None:
    """Wait for another process, which tells nobody when it has done what it will do."""
    latest, pause = time.monotonic() + PATIENCE_S, threading.Event()
    while not holds():
        assert time.monotonic() < latest
        pause.wait(0.1)


@pytest.mark.skipif(PROGRAM is None, reason="Debian's prometheus-alertmanager is not installed")
def test_an_alert_fires_is_repeated_ends_and_fires_again(served: Served, tmp_path: Path) -> None:
    with alertmanager(served, tmp_path) as address:

        def tell(**times: str) -> None:
            alert = {"labels": LABELS, "annotations": {"summary": "too many"}, **times}
            httpx.post(f"{address}/api/v2/alerts", json=[alert]).raise_for_status()

        now = datetime.now(UTC)
        first, later = (now - timedelta(minutes=5)).isoformat(), (now + timedelta(hours=1)).isoformat()  # fmt: skip
        tell(startsAt=first, endsAt=later)
        until(lambda: [each.reported > 2 for each in served.incidents()] == [True])  # type: ignore[attr-defined]
        tell(startsAt=first, endsAt=datetime.now(UTC).isoformat())
        until(lambda: [each.state for each in served.incidents()] == ["resolved"])
        tell(startsAt=datetime.now(UTC).isoformat(), endsAt=later)
        until(lambda: [each.state for each in served.incidents()] == ["resolved", "open"])
    [incident, _] = served.incidents()
    assert (incident.error_type, incident.message) == ("ToolErrors", "too many")
    assert (incident.agent.name, incident.severity) == ("scout", "critical")
    assert incident.context["labels"] == LABELS


def test_a_thousand_duplicates_from_eight_threads_are_one_incident(served: Served) -> None:
    def send(_: int) -> set[int]:
        with httpx.Client(headers={"Authorization": f"Bearer {served.token}"}) as client:
            return {client.post(f"{served.base}/alertmanager", json=GROUP).status_code for _ in range(125)}  # fmt: skip

    with ThreadPoolExecutor(8) as pool:
        assert set().union(*pool.map(send, range(8))) == {200}
    [incident] = served.incidents()
    assert incident.reported == 1_000  # type: ignore[attr-defined]


@pytest.fixture
def scout(acme: Any, api: Any) -> Any:
    client = api(factories.agent_token(acme))
    leave_tenant()
    return client


@pytest.mark.parametrize(
    ("body", "field"),
    [
        ({**GROUP, "version": "3"}, "version"),
        ({**GROUP, "alerts": [ALERT] * 1_001}, "alerts"),
        ({**GROUP, "alerts": [{**ALERT, "status": "?"}]}, "alerts.0.status"),
        ({**GROUP, "alerts": [{**ALERT, "startsAt": "soon"}]}, "alerts.0.startsAt"),
        ({**GROUP, "alerts": [{**ALERT, "labels": []}]}, "alerts.0.labels"),
        ({**GROUP, "alerts": [{**ALERT, "labels": {"a": "\x00"}}]}, "alerts[0].labels.a"),
        ({**GROUP, "alerts": [{**ALERT, "startsAt": "2999-01-01T00:00:00Z"}]}, "occurred_at"),
    ],
)  # fmt: skip
def test_bad_groups_are_refused_by_field(scout: Any, body: dict[str, Any], field: str) -> None:
    answer = scout.post(WEBHOOK, body)
    assert answer.status_code == 400
    said = answer.json()
    assert field in (said.get("field"), *(each["field"] for each in said.get("errors", [])))


def test_an_end_ends_nobody_elses(scout: Any, umbra: Any, api: Any) -> None:
    assert scout.post(WEBHOOK, GROUP).json() == {"opened": 1, "repeated": 0, "resolved": 0}
    ended = {**GROUP, "status": "resolved", "alerts": [{**ALERT, "status": "resolved"}]}
    outsider = api(factories.agent_token(umbra))
    assert outsider.post(WEBHOOK, ended).json()["resolved"] == 0
    assert outsider.get("/api/v1/incidents").json()["results"] == []
    assert api("abt_wrong").post(WEBHOOK, ended).status_code == 401
    assert [scout.post(WEBHOOK, ended).json()["resolved"] for _ in range(2)] == [1, 0]
