#!/usr/bin/env python3
"""Fails when a locked package has a known vulnerability; says so when nobody could be asked.

pip-audit alone answers "none found" with exit 0 when its service does not know a single package,
as behind a mirror that carries files only. So what was really audited is counted here, and what was
not is named. Two settings name another service to ask, a mirror of one's own network:
OSV_URL one that speaks OSV's protocol, INDEX_URL a package index with PyPI's JSON API.
"""

import os
import sys
from collections.abc import Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from packaging.version import Version
from pip_audit._audit import Auditor
from pip_audit._dependency_source import DependencySourceError, RequirementSource
from pip_audit._service import (
    Dependency,
    OsvService,
    PyPIService,
    ServiceError,
    VulnerabilityResult,
    VulnerabilityService,
)
from requests import PreparedRequest, RequestException, Response
from requests.adapters import HTTPAdapter

ANSWER_SECONDS = 20
ASKED_AT_ONCE = 8
NAMED_AT_MOST = 10

Audited = dict[Dependency, list[VulnerabilityResult]]


class OrTheNewest(HTTPAdapter):
    """Where an index has no page for one version of a package, its page for the newest, if that is the one.

    Some mirrors have only that page. What it says of vulnerabilities is true of the newest version alone.
    """

    def send(self, request: PreparedRequest, *args: Any, **options: Any) -> Response:
        address = str(request.url)
        if elsewhere := os.environ.get("INDEX_URL"):
            address = request.url = elsewhere.rstrip("/") + urlsplit(address).path
        answer = super().send(request, *args, **options)
        package, version, page = address.rsplit("/", 2)
        if answer.status_code != 404:
            return answer
        request.url = f"{package}/{page}"
        newest = super().send(request, *args, **options)
        is_that = newest.ok and Version(newest.json()["info"]["version"]) == Version(version)
        return newest if is_that else answer


class Index(PyPIService):
    """The package index, asked for several packages at once."""

    def __init__(self) -> None:
        super().__init__(timeout=ANSWER_SECONDS)
        self.session.mount("https://", OrTheNewest(max_retries=2))

    def query_all(
        self, specs: Iterable[Dependency]
    ) -> Iterator[tuple[Dependency, list[VulnerabilityResult]]]:
        with ThreadPoolExecutor(ASKED_AT_ONCE) as threads:
            yield from threads.map(self.query, specs)


def service() -> VulnerabilityService:
    if url := os.environ.get("OSV_URL"):
        return OsvService(osv_url=url, timeout=ANSWER_SECONDS)
    return Index()


def ask(locked: str) -> Audited:
    """What the service knows of each package of a lock file; empty when it gave no answer at all."""
    source = RequirementSource([Path(locked)], require_hashes=True, disable_pip=True)
    try:
        return dict(Auditor(service()).audit(source))
    except (ServiceError, RequestException) as failed:
        print(f"{locked}: {failed}", file=sys.stderr)
        return {}


def report(locked: str) -> bool:
    """Prints what is known about one lock file; False when something in it is vulnerable."""
    packages = ask(locked)
    unknown = sorted(package.name for package in packages if package.is_skipped())
    audited = len(packages) - len(unknown)
    if not audited:
        print(f"{locked}: SKIPPED, the vulnerability service could not be reached")
        return True
    vulnerable = {package: found for package, found in packages.items() if found}
    for package, found in vulnerable.items():
        print(f"{locked}: {package.name} {package.version}: {', '.join(one.id for one in found)}")
    if unknown:
        more = f" and {len(unknown) - NAMED_AT_MOST} more" if len(unknown) > NAMED_AT_MOST else ""
        print(f"{locked}: nothing is known of {', '.join(unknown[:NAMED_AT_MOST])}{more}")
    print(f"{locked}: {audited} of {len(packages)} audited, {len(vulnerable)} vulnerable")
    return not vulnerable


if __name__ == "__main__":
    try:
        answers = [report(locked) for locked in sys.argv[1:] or ["requirements/dev.txt"]]
    except DependencySourceError as unreadable:
        sys.exit(f"audit: {unreadable}")
    sys.exit(0 if all(answers) else 1)
