"""What to try first against a failure that nobody has written a recovery for.

A table from what the error says to a remedy; the first line that applies wins, so the most telling
come first: a refused key is not worth a retry, however it is worded.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from recovery.remedies import (
    Failure,
    Remedy,
    Suggestion,
    cap_largest,
    check,
    disable_tool,
    pattern_of,
    retry,
)

_REFERENCES = (
    r"(?:^|_)(?:ids?|name|key|code|number|email|path|file|filename|table|columns?|field|query|sql|url|"
    r"user|account|date|command|flights?)(?:_|$)"
)
_AMOUNTS = r"amount|price|total|paid|payment|quantity|count|balance|sum|fee|method"


@dataclass(frozen=True, slots=True)
class Heuristic:
    """One line of the table: it applies where the error says so, or to these categories."""

    pattern: Any
    remedy: Remedy
    categories: frozenset[str]

    def applies(self, failure: Failure, category: str) -> bool:
        return category in self.categories or self.pattern.search(failure.text) is not None


def heuristic(
    error_type: str,
    tool: str,
    template: str,
    category: str,
    arguments: Mapping[str, Any] | None,
) -> Suggestion:
    """The first thing to try, from the error's words, its category and the call's arguments.

    `template` is the masked message; `arguments` may be None (not every report carries them).
    Always returns a suggestion with valid parameters; the last resort is to look again.
    """
    failure = Failure.of(error_type, tool, template, arguments)
    for line in _TABLE:
        if line.applies(failure, category):
            return line.remedy(failure)
    return _LAST_RESORT(failure)


def _line(pattern: str, remedy: Remedy, *categories: str) -> Heuristic:
    return Heuristic(pattern_of(pattern), remedy, frozenset(categories))


_TABLE = (
    _line(
        r"\b429\b|rate.?limit|too many requests|throttl|\bquota\b",
        retry(5, 5_000, "The other side asks for fewer calls; given time, the same call succeeds."),
        "rate_limit",
    ),
    _line(
        r"context.?(?:length|window)|too many tokens|max(?:imum)?.?tokens|token.?limit|"
        r"budget.{0,20}(?:exceed|exhaust)|(?:exceed|over).{0,20}budget",
        cap_largest,
        "token_limit",
        "budget_exceeded",
    ),
    _line(
        r"content.?(?:policy|filter)|moderation|personal data|\bpii\b",
        check(
            "Take out what the content rules refuse",
            "Make sure that the arguments hold no personal or disallowed content; take it out, or ask "
            "a person.",
            "Content was refused, and the same content will be refused again.",
        ),
        "content_policy",
        "pii_detected",
        "safety_violation",
    ),
    _line(
        r"\b401\b|unauthori[sz]ed|(?:invalid|expired|missing|incorrect).{0,12}(?:api.?key|token|credential)|"
        r"authentication (?:failed|failure|required)",
        disable_tool,
    ),
    _line(
        r"\b403\b|forbidden|(?:permission|access).?denied|not (?:allowed|permitted|authori[sz]ed)|"
        r"cannot be used|read.?only",
        check(
            "Check that this is allowed",
            "Make sure that the agent may do this to this target; when it may not, choose another way or "
            "ask a person.",
            "The call was refused by a rule of the other side, so repeating it cannot help.",
            _REFERENCES,
        ),
    ),
    _line(
        r"time.?d?.?out|timeout|deadline exceeded|connection (?:reset|refused|aborted|closed)|"
        r"temporar(?:y|ily)|unavailable|max retries|\b50[234]\b|deadlock|database is locked|"
        r"failed to establish|name or service not known",
        retry(3, 1_000, "The failure is of the moment: the same call may well succeed later."),
    ),
    _line(
        r"command not found|executable file not found|not installed|no module named|modulenotfound",
        check(
            "Check that the program is installed",
            "Make sure that the program or module is installed here; otherwise use one that is.",
            "What the call needs is not on this machine, and repeating the call does not install it.",
        ),
    ),
    _line(
        r"not.enough|insufficient|exceeds? (?:the )?(?:balance|available)|out of stock|sold out",
        check(
            "Compare what is asked with what is there",
            "Look up how much is available and ask for no more than that.",
            "The call asked for more than there was.",
            f"{_AMOUNTS}|{_REFERENCES}",
        ),
    ),
    _line(
        r"(?:not|never|isn.t|wasn.t).(?:found|exist|available|defined|known|recogni[sz]ed)|"
        r"does.?n.t exist|does not (?:exist|contain)|\bno such\b|unknown|undefined|cannot (?:find|access|"
        r"open)|\b404\b|keyerror|has no attribute|nonetype",
        check(
            "Look it up first",
            "Look up what the arguments refer to (id, name, column, file, date) and use only what the "
            "look-up returned.",
            "The call named something that is not there.",
            _REFERENCES,
        ),
    ),
    _line(
        r"add up|mismatch|does not match|do not match|must (?:equal|match|sum)|\btotal\b|amount",
        check(
            "Check that the amounts add up",
            "Add the amounts up and make sure that they equal the total exactly.",
            "The amounts of the call contradicted each other.",
            _AMOUNTS,
        ),
    ),
    _line(
        r"already exists|duplicate|unique constraint|conflict",
        check(
            "Check whether it is there already",
            "Look up whether this was done or exists already; if so, use what is there.",
            "The call made something a second time.",
            _REFERENCES,
        ),
    ),
    _line(
        r"syntax|unexpected (?:eof|indent|token)|indentation|malformed|parse|json ?decode|^usage|usage:",
        check(
            "Check the form",
            "Parse the text that will be run or sent, quotes and line ends included, and repair it first.",
            "The text of the call could not be read, so nothing of it was tried.",
            r"(?:^|_)(?:code|command|query|sql|script|body|text|json)(?:_|$)",
        ),
    ),
    _line(
        r"invalid|validation|required|out of range|must be|constraint|typeerror|valueerror|\b4(?:00|22)\b",
        check(
            "Validate the arguments",
            "Check every argument against the tool's description: present, of the right type, within its "
            "range.",
            "The call's arguments were not acceptable.",
        ),
    ),
)
_LAST_RESORT = check(
    "Review the arguments",
    "Review the arguments against the error before repeating the call.",
    "The error fits no known kind; repeating the call unchanged will most likely fail again.",
)
