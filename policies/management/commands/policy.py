"""Policies as code: export, import, lint, test, backtest, diff, coverage. See docs/policies-as-code.md."""

from __future__ import annotations

import hashlib
import json
from argparse import ArgumentParser
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from django.core.management.base import BaseCommand, CommandError

from governance.access.matrix import WRITE_POLICIES
from governance.actors import Actor
from governance.database.tenancy import tenant_scope
from governance.models import Membership, Settings, Tenant
from governance.refusals import Refusal
from policies.as_code import linting, testing
from policies.as_code.reading import PolicyFile, Problem, read
from policies.as_code.writing import written
from policies.models import Policy
from policies.services import coverage, filing, trying

NAMED = 5
"""Decisions named on one line for people; --json names all."""


class Command(BaseCommand):
    """Each way answers with figures for --json and lines for people, and whether what it checks holds."""

    help = __doc__
    requires_system_checks: list[str] = []  # a file is linted and tested without a database

    def add_arguments(self, parser: ArgumentParser) -> None:
        ways = parser.add_subparsers(dest="way", required=True)
        for name, (text, add) in _WAYS.items():
            way = ways.add_parser(name, help=text)
            add(way)
            way.add_argument("--json", action="store_true", help="one JSON object as the last line")

    def handle(self, **options: Any) -> None:
        figures, holds = getattr(self, f"_{options['way']}")(options)
        if options["json"]:
            self.stdout.write(json.dumps(figures, ensure_ascii=False))
        if not holds:
            raise CommandError(f"policy {options['way']}: what was checked does not hold.")

    def _say(self, options: dict[str, Any], text: str) -> None:
        if not options["json"]:
            self.stdout.write(text)

    # --- Files alone --------------------------------------------------------------------------

    def _lint(self, options: dict[str, Any]) -> tuple[dict[str, Any], bool]:
        files, problems = _read(options["file"])
        problems += linting.lint(files)
        for each in sorted(problems):
            self._say(options, str(each))
        errors = sum(each.is_error for each in problems)
        policies = sum(len(file.policies) for file in files)
        self._say(
            options, f"{policies} policies, {errors} errors, {len(problems) - errors} warnings."
        )
        figures = {
            "policies": policies,
            "errors": errors,
            "warnings": len(problems) - errors,
            "findings": [_as_json(each) for each in sorted(problems)],
        }
        return figures, not errors and not (options["strict"] and problems)

    def _test(self, options: dict[str, Any]) -> tuple[dict[str, Any], bool]:
        files = _good(options["file"])
        tried = testing.tried(files, default_verdict=options["default_verdict"])
        failed = [each for each in tried if not each.is_passed]
        for each in failed if not options["verbose"] else tried:
            self._say(options, str(each))
        self._say(options, f"{len(tried)} tests, {len(failed)} failed.")
        figures = {
            "tests": len(tried),
            "failed": len(failed),
            "failures": [
                {
                    "file": each.file,
                    "line": each.case.line,
                    "name": each.case.name,
                    "expected": each.case.expect,
                    "got": each.verdict,
                    "policies": list(each.policies),
                }
                for each in failed
            ],
        }
        # Where nothing is tested, nothing holds.
        return figures, bool(tried) and not failed

    # --- Files and a tenant -------------------------------------------------------------------

    def _export(self, options: dict[str, Any]) -> tuple[dict[str, Any], bool]:
        with _tenant(options):
            policies = filing.exported(filing.of_state(*options["state"]))
        text = written(policies)
        if options["out"]:
            try:
                options["out"].write_text(text, encoding="utf-8")
            except OSError as error:
                raise CommandError(f"{options['out']}: {error.strerror}") from error
            self._say(options, f"{len(policies)} policies in {options['out']}")
        elif not options["json"]:
            self.stdout.write(text)
        tests = sum(len(policy.tests) for policy in policies)
        out = str(options["out"] or "")
        return {"policies": len(policies), "tests": tests, "out": out}, True

    def _import(self, options: dict[str, Any]) -> tuple[dict[str, Any], bool]:
        files = _good(options["file"])
        problems = [each for each in linting.lint(files) if each.is_error]
        if problems:
            raise CommandError("\n".join(map(str, problems)))
        digest = hashlib.sha256(b"".join(path.read_bytes() for path in options["file"])).hexdigest()
        with _tenant(options) as tenant:
            actor = _author(tenant, options["as"])
            try:
                done = filing.import_all(_policies(files), digest=digest, actor=actor)
            except Refusal as refusal:
                raise CommandError(str(refusal)) from refusal
        for policy in done.made:
            self._say(options, f"drafted {policy.id}: {policy.name}")
        for policy in done.known:
            self._say(options, f"there already, {policy.state}: {policy.id}: {policy.name}")
        figures = {
            "drafted": [policy.id for policy in done.made],
            "known": [policy.id for policy in done.known],
        }
        return figures, True

    def _backtest(self, options: dict[str, Any]) -> tuple[dict[str, Any], bool]:
        files = _good(options["file"])
        with _tenant(options):
            known = trying.stored(options["calls"])
            tests = trying.backtest(_policies(files), known)
        most_good = max((len(each.good) for each in tests), default=0)
        self._say(options, f"{len(known.decisions)} stored calls, {len(known.went_well)} reported.")
        for each in tests:
            self._say(
                options,
                f"{each.policy.file}:{each.policy.line}: {each.policy.name}: would have stopped"
                f" {_named(each.failed)} that failed, {_named(each.good)} that went well,"
                f" {_named(each.unknown)} of unknown outcome",
            )
        figures = {
            "calls": len(known.decisions),
            "reported": len(known.went_well),
            "policies": [
                {
                    "name": each.policy.name,
                    "failed": list(each.failed),
                    "good": list(each.good),
                    "unknown": list(each.unknown),
                }
                for each in tests
            ],
        }
        limit = options["good_at_most"]
        return figures, limit is None or most_good <= limit

    def _diff(self, options: dict[str, Any]) -> tuple[dict[str, Any], bool]:
        files = _good(options["file"])
        with _tenant(options):
            default = Settings.objects.get().default_verdict
            known = trying.stored(options["calls"])
            found = trying.difference(_policies(files), known, default=default)
        for line in _told(found):
            self._say(options, line)
        return trying.as_json(found), found.is_empty or not options["exit_code"]

    def _coverage(self, options: dict[str, Any]) -> tuple[dict[str, Any], bool]:
        with _tenant(options):
            found = coverage.coverage(days=options["days"], tool=options["tool"])
        self._say(
            options,
            f"A policy in force spoke of {found.explicit} of {found.calls} calls in {found.days} days"
            f" ({found.share:.0%}).",
        )
        for each in found.tools:
            self._say(options, f"  {each.tool or '(no tool)'}: {each.explicit} of {each.calls}")
        for policy in found.never_hit:
            self._say(options, f"never hit: {policy.id} ({policy.state}): {policy.name}")
        for clash in found.clashes:
            self._say(options, f"{clash.kind}: {clash.policy.where}: {clash}")
        return coverage.as_json(found), True


def _read(paths: Sequence[Path]) -> tuple[list[PolicyFile], list[Problem]]:
    read_all = [read(path) for path in paths]
    return [file for file, _ in read_all], [each for _, problems in read_all for each in problems]


def _good(paths: Sequence[Path]) -> list[PolicyFile]:
    """Files without an error. Raises CommandError with all problems of all of them."""
    files, problems = _read(paths)
    if problems:
        raise CommandError("\n".join(map(str, problems)))
    return files


def _policies(files: Sequence[PolicyFile]) -> list[Any]:
    return [policy for file in files for policy in file.policies]


def _as_json(problem: Problem) -> dict[str, Any]:
    return {
        "file": problem.file,
        "line": problem.line,
        "code": problem.code,
        "level": "error" if problem.is_error else "warning",
        "text": problem.text,
    }


@contextmanager
def _tenant(options: dict[str, Any]) -> Iterator[Tenant]:
    """Inside the tenant that was named, by its slug or its id."""
    wanted = options["tenant"]
    tenant = Tenant.objects.filter(slug=wanted).first() or Tenant.objects.filter(pk=wanted).first()
    if tenant is None:
        raise CommandError(f"There is no tenant {wanted!r}.")
    with tenant_scope(tenant.id):
        yield tenant


def _author(tenant: Tenant, name: str) -> Actor:
    """The person who drafts: he cannot approve what he imports. Raises CommandError where he may not."""
    member = Membership.objects.filter(tenant=tenant, user__username=name).first()
    if member is None or not WRITE_POLICIES.belongs_to(member.role):
        raise CommandError(
            f"Only {WRITE_POLICIES.holders} of {tenant} may write policies; {name!r} is none."
        )
    return Actor("user", str(member.user_id), name)


def _named(decisions: Sequence[str]) -> str:
    if not decisions:
        return "0"
    more = ", …" if len(decisions) > NAMED else ""
    return f"{len(decisions)} ({', '.join(decisions[:NAMED])}{more})"


def _told(found: trying.Difference) -> Iterator[str]:
    for policy in found.added:
        yield f"+ {policy.name} ({policy.file}:{policy.line})"
    for id, name in found.removed:
        yield f"- {name} ({id})"
    for change in found.changed:
        yield f"~ {change.policy.name} ({change.id})"
        for name, (now, then) in change.fields.items():
            how = f" ({change.condition})" if name == "condition" else ""
            yield f"    {name}{how}: {now!r} -> {then!r}"
    yield (
        f"{len(found.added)} added, {len(found.removed)} removed, {len(found.changed)} changed,"
        f" {found.unchanged} unchanged; {len(found.turned)} of {found.tried} stored calls would be answered otherwise."
    )
    for each in found.turned[: 4 * NAMED]:
        went = {True: "went well", False: "failed", None: "of unknown outcome"}[each.went_well]
        yield f"    {each.decision} {each.tool}: {each.in_force} -> {each.in_file} ({went})"


def _files(way: ArgumentParser) -> None:
    way.add_argument(
        "file", nargs="+", type=Path, help="YAML files; in force they would be together"
    )


def _of_tenant(way: ArgumentParser) -> None:
    way.add_argument("--tenant", required=True, help="whose (slug or id)")


def _on_calls(way: ArgumentParser) -> None:
    _files(way)
    _of_tenant(way)
    way.add_argument(
        "--calls",
        type=int,
        default=trying.STORED_LIMIT,
        help=f"latest decisions to try them on ({trying.STORED_LIMIT})",
    )


def _add_lint(way: ArgumentParser) -> None:
    _files(way)
    way.add_argument("--strict", action="store_true", help="fail for warnings too")


def _add_test(way: ArgumentParser) -> None:
    _files(way)
    way.add_argument("--verbose", action="store_true", help="tell what passed too")
    way.add_argument("--default-verdict", choices=("allow", "block"), default="allow")


def _add_export(way: ArgumentParser) -> None:
    _of_tenant(way)
    way.add_argument("--out", type=Path, help="the file (otherwise it is printed)")
    way.add_argument(
        "--state",
        nargs="+",
        choices=Policy.State.values,
        default=[Policy.State.ACTIVE],
        help="of which state (active)",
    )


def _add_import(way: ArgumentParser) -> None:
    _files(way)
    _of_tenant(way)
    way.add_argument("--as", required=True, metavar="USER", help="who drafts them")


def _add_backtest(way: ArgumentParser) -> None:
    _on_calls(way)
    way.add_argument(
        "--good-at-most",
        type=int,
        help="fail when one policy would have stopped more good calls than this",
    )


def _add_diff(way: ArgumentParser) -> None:
    _on_calls(way)
    way.add_argument("--exit-code", action="store_true", help="fail when there is a difference")


def _add_coverage(way: ArgumentParser) -> None:
    _of_tenant(way)
    way.add_argument("--days", type=int, default=coverage.DAYS)
    way.add_argument("--tool", default="", help="only the calls and policies of this tool")


_WAYS: dict[str, tuple[str, Callable[[ArgumentParser], None]]] = {
    "lint": ("what is wrong with files, without a call (no database)", _add_lint),
    "test": ("the calls written in files, put to the guard's judgement (no database)", _add_test),
    "export": ("a tenant's policies as a file, with tests made from what happened", _add_export),
    "import": ("draft what a tenant does not have yet; activates nothing", _add_import),
    "backtest": ("what a file would have stopped of the stored calls", _add_backtest),
    "diff": ("a file beside what is in force", _add_diff),
    "coverage": ("how far the policies of a tenant reach", _add_coverage),
}
