"""The program. Its first line of input is its task (JSON); then it is granted loops and told to attack.

    {"grant": 10, "of": "world"}       so many more loops, in this tenant
    {"attack": "…", "number": 3, …}    one of ``attacks``; answered by {"done": 3, "found": …}
    {"go": 3}                          an attack that has said {"waits": 3} may go on

The end of the input is the end of the work; its figures are the last line of its output.
"""

from __future__ import annotations

import json
import sys
import threading
from typing import Any

from .attack import Attack
from .attacks import ATTACKS
from .people import Agent, Grants, Office, Reviewer, Task

AGENTS = 4


def main() -> None:
    office = Office.of(Task(**json.loads(sys.stdin.readline())))
    grants, leaving = Grants(), threading.Event()
    reviewer = Reviewer(office, leaving)
    agents = [Agent(number, office, grants) for number in range(AGENTS)]
    attacks: dict[int, Attack] = {}
    for thread in (*agents, reviewer):
        thread.start()
    for line in sys.stdin:
        _obey(json.loads(line), office, grants, attacks)
    grants.close()
    for worker in (*agents, *attacks.values()):
        worker.join()
    leaving.set()
    reviewer.join()
    sys.stdout.write(f"{json.dumps(office.tally.report())}\n")


def _obey(said: dict[str, Any], office: Office, grants: Grants, attacks: dict[int, Attack]) -> None:
    match said:
        case {"grant": number, "of": tenant}:
            grants.add(number, tenant)
        case {"attack": name, "number": number, **details}:
            attacks[number] = Attack(ATTACKS[name], number, details, office)
            attacks[number].start()
        case {"go": number}:
            attacks[number].may_go_on.set()


if __name__ == "__main__":
    main()
