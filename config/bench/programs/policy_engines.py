"""Other policy engines on policies that say the same, for ``bench guard``. Run by the Python that has the engine.

Reads ``{engine, stored, applying, rounds, calls}`` as JSON, prints ``{p50_us, denied}``. Each is used as its
documentation shows it: cedarpy is handed the text of the policies at every question, pycasbin walks all of them.
"""

from __future__ import annotations

import json
import random
import statistics
import sys
import time
from collections.abc import Callable
from typing import Any

CURRENCY = "EUR"
AMOUNT = 350


def in_no_order(stored: int) -> list[int]:
    """Numbers of policies: whoever stops at the first that denies must not find it first by luck."""
    numbers = list(range(stored))
    random.Random(1).shuffle(numbers)  # noqa: S311 - the same order in every run
    return numbers


def cedar(stored: int, applying: int) -> Callable[[], bool]:
    """True where the question is denied."""
    import cedarpy  # type: ignore[import-not-found]  # only in an environment of its own

    lines = ["permit(principal, action, resource);"]
    for number in in_no_order(stored):
        tool = "pay" if number < applying else f"tool-{number}"
        lines.append(
            f'forbid(principal, action == Action::"{tool}", resource) when {{ context.amount > {number * 100}'
            f' && context.currency == "{CURRENCY}" }};'
        )
    policies = "\n".join(lines)
    question = {
        "principal": 'Agent::"scout"',
        "action": 'Action::"pay"',
        "resource": 'Run::"r"',
        "context": {"amount": AMOUNT, "currency": CURRENCY},
    }
    return lambda: not cedarpy.is_authorized(question, policies, []).allowed


MODEL = """
[request_definition]
r = tool, amount, currency
[policy_definition]
p = tool, amount, currency, eft
[policy_effect]
e = !some(where (p.eft == deny))
[matchers]
m = r.tool == p.tool && above(r.amount, p.amount) && r.currency == p.currency
"""


def casbin(stored: int, applying: int) -> Callable[[], bool]:
    """True where the question is denied."""
    import casbin as engine  # type: ignore[import-not-found]  # only in an environment of its own

    model = engine.Model()
    model.load_model_from_text(MODEL)
    enforcer = engine.Enforcer(model)
    enforcer.add_function("above", lambda asked, least: float(asked) > float(least))
    enforcer.add_policies(
        [
            ["pay" if number < applying else f"tool-{number}", str(number * 100), CURRENCY, "deny"]
            for number in in_no_order(stored)
        ]
    )
    return lambda: not enforcer.enforce("pay", AMOUNT, CURRENCY)


def main() -> None:
    """One engine, asked again and again; the least of the rounds' medians."""
    said: dict[str, Any] = json.loads(sys.stdin.read())
    ask = {"cedarpy": cedar, "pycasbin": casbin}[said["engine"]](said["stored"], said["applying"])
    denied, medians = ask(), []
    for _ in range(said["rounds"]):
        took = []
        for _ in range(said["calls"]):
            began = time.perf_counter()
            ask()
            took.append(time.perf_counter() - began)
        medians.append(statistics.median(took))
    sys.stdout.write(json.dumps({"p50_us": round(min(medians) * 1e6, 1), "denied": denied}) + "\n")


if __name__ == "__main__":
    main()
