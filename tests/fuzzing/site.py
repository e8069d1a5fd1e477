"""The demo's product as one process, at work, in a place of its own; and whoever comes to it."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx

from tests.failmodes.product import NOT_OURS, ROOT, free_port, until

STARTS_WITHIN = 90.0
WORKS_WITHIN = 120.0
# What an address may name: where its ids are listed.
LISTS = (
    "incidents", "patterns", "recoveries", "recovery-templates", "policies", "regrets", "preventions", "adjustments",
    "checkpoints", "agents", "ledger/entries", "guard/decisions", "ops/bypass",
)  # fmt: skip


@dataclass(frozen=True)
class Site:
    """Where the product is, what it keeps, and what opens it."""

    url: str
    directory: Path
    tokens: dict[str, str]
    password: str

    def headers(self, who: str) -> dict[str, str]:
        """What a request of an agent, a reviewer or an admin carries; or, for "pages", of the admin's browser."""
        return (
            self._signed_in() if who == "pages" else {"Authorization": f"Bearer {self.tokens[who]}"}
        )

    def _signed_in(self) -> dict[str, str]:
        with httpx.Client(base_url=self.url, timeout=30) as browser:
            form = browser.get("/admin/login/").text
            token = re.search(r'name="csrfmiddlewaretoken" value="(\w+)"', form)
            assert token, form[:500]
            fields = {
                "username": "admin",
                "password": self.password,
                "csrfmiddlewaretoken": token[1],
            }
            answer = browser.post("/admin/login/", data=fields)
            assert answer.status_code == httpx.codes.FOUND, answer.text[:500]
            cookies = "; ".join(f"{name}={value}" for name, value in browser.cookies.items())
            return {"Cookie": cookies, "X-CSRFToken": browser.cookies["csrftoken"]}

    def description(self) -> str:
        """What the API says of itself, as it serves it."""
        answer = httpx.get(f"{self.url}/api/schema/?format=json", timeout=60)
        assert answer.status_code == httpx.codes.OK, answer.text[:500]
        return answer.text

    def ids(self) -> dict[str, list[str]]:
        """Ids that are there, by the list that names them."""
        with httpx.Client(headers=self.headers("admin"), timeout=30) as asking:
            return {name: [each["id"] for each in self._list(asking, name)] for name in LISTS}

    def _list(self, asking: httpx.Client, name: str) -> list[dict[str, Any]]:
        answer = asking.get(f"{self.url}/api/v1/{name}", params={"limit": 20})
        assert answer.status_code == httpx.codes.OK, answer.text[:500]
        found: list[dict[str, Any]] = answer.json()["results"]
        return found

    def has_lived(self) -> bool:
        """Whether its agent has failed often enough for there to be something to decide."""
        return all(self.ids()[name] for name in ("incidents", "recoveries", "checkpoints"))

    def log(self) -> str:
        return (self.directory / "serve.log").read_text(errors="replace")


@contextmanager
def at_work() -> Iterator[Site]:
    """The product with its demo's agent; nothing of it is left afterwards."""
    directory = Path(tempfile.mkdtemp(prefix="abt-fuzz-"))
    directory.chmod(
        0o711
    )  # as root, PostgreSQL runs under another account, which must pass through
    try:
        with (
            (directory / "serve.log").open("wb") as log,
            (directory / "serve.json").open("wb") as said,
            subprocess.Popen(
                [sys.executable, "manage.py", "serve", "--demo", "--json"],
                cwd=ROOT,
                env=environment(directory, PORT=str(free_port())),
                stdin=subprocess.DEVNULL,
                stdout=said,
                stderr=log,
            ) as serving,
        ):
            try:
                welcome = json.loads(until(lambda: _said(directory, serving), STARTS_WITHIN))
                site = _site(directory, welcome)
                until(site.has_lived, WORKS_WITHIN)
                yield site
            finally:
                serving.terminate()
                serving.wait(timeout=60)
    finally:
        shutil.rmtree(directory, ignore_errors=True)


def environment(directory: Path, **more: str) -> dict[str, str]:
    """The product's, with nothing of the caller's that would lead it elsewhere."""
    env = {name: value for name, value in os.environ.items() if not name.startswith(NOT_OURS)}
    # The deadline of decisions is for quiet machines: here it would only hide what is answered.
    return env | {"ANTIBODY_DATA_DIR": str(directory), "ANTIBODY_SPINE_MS": "10000", **more}


def _said(directory: Path, serving: subprocess.Popen[bytes]) -> str:
    assert serving.poll() is None, (directory / "serve.log").read_text()[-3_000:]
    return (directory / "serve.json").read_text()


def _site(directory: Path, welcome: dict[str, str]) -> Site:
    made = subprocess.run(
        [sys.executable, "manage.py", "create_token", "--tenant", "demo", "--user", "ada", "--role", "admin"],
        cwd=ROOT, env=environment(directory), capture_output=True, text=True, check=True, timeout=60,
    )  # fmt: skip
    tokens = {
        "agent": welcome["agent_token"],
        "reviewer": welcome["reviewer_token"],
        "admin": made.stdout.strip(),
    }
    return Site(welcome["url"], directory, tokens, welcome["password"])
