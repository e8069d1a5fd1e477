"""The verbs of recovery: suggest, apply, reject, roll back; and what the guard hands to agents."""

from .asking import ask_model, call_webhook
from .directives import asking_for, directives_for
from .for_pattern import of_pattern
from .life import apply, decided, reject, roll_back, story, undo
from .suggestions import suggest_recoveries
from .templates import disable_template, make_template

__all__ = [
    "apply",
    "ask_model",
    "asking_for",
    "call_webhook",
    "decided",
    "directives_for",
    "disable_template",
    "make_template",
    "of_pattern",
    "reject",
    "roll_back",
    "story",
    "suggest_recoveries",
    "undo",
]
