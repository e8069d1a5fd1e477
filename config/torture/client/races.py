"""Many at once, where only one can be first."""

from __future__ import annotations

import random
from functools import partial

from .api import Api, GaveUp
from .attack import Attack, at_once, open_story, question_about

AT_ONCE = 8
HELD = 3


def race_patterns(attack: Attack) -> int:
    """The same failure that nobody has seen, from many agents at once: every report is taken."""
    office, error_type = attack.office, f"{attack.unique('Race')}Error"

    def one(number: int, api: Api) -> str:
        return office.report(
            api,
            {
                "agent_id": f"racer-{number}",
                "error_type": error_type,
                "message": f"booking {number} is held by another desk",
                "tool": "desk",
                "source": "race",
                "source_key": f"{error_type}-{number}",
            },
        )

    racers = [partial(one, number, office.agent("world")) for number in range(AT_ONCE)]
    return len(set(at_once(racers)))


def race_decisions(attack: Attack) -> dict[str, int]:
    """One question, decided by many at once: one of them wins, and the others are told who it was."""
    office = attack.office
    reviewers = [office.reviewer(number) for number in range(len(office.task.reviewers))]
    rng = random.Random(f"{office.task.seed}-{attack.number}")  # noqa: S311 - repeatable, guards nothing
    with office.deciding:
        question = question_about(open_story(attack)["trace_id"], reviewers[0])
        said = {"digest": question["digest"], "reason": "raced for by the torture"}
        answers = at_once(
            [
                partial(
                    api.post,
                    f"checkpoints/{question['id']}/{rng.choice(['approve', 'reject'])}",
                    said,
                    f"race-{question['id']}-{number}",
                )
                for number, api in enumerate(reviewers)
            ]
        )
        won = [answer.json() for answer in answers if answer.status_code == 200]
        lost = [answer.json() for answer in answers if answer.status_code == 409]
        for each in won:
            office.journal.write(each["state"], question["id"])
        # With the clock's help nobody may have won: then it expired, and nobody was told otherwise.
        by = {each["decided_by"] for each in (*won, *lost)}
        if len(won) > 1 or len(won) + len(lost) != len(answers) or len(by) != 1:
            said_to_each = [f"{each.status_code} {each.text[:200]}" for each in answers]
            raise GaveUp(f"not one winner whom everybody was told of: {said_to_each}")
    return {"won": len(won), "told_who_was_first": len(lost)}


def hold_questions(attack: Attack) -> int:
    """Questions that the reviewer leaves alone until the torture says go; how many."""
    office = attack.office
    reviewer = office.reviewer()
    with office.deciding:
        for number in range(HELD):
            question_about(open_story(attack, number)["trace_id"], reviewer)
        attack.wait_for_go()
    return HELD
