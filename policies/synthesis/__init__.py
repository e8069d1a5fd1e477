"""Rules from failures: conditions that block what failed and nothing that is known to work.

`calls` says what goes in and comes out, `features` what can be asked about a call, `search` which
questions separate failures from good calls, `culprits` what an error blames and `reach` how far that goes, `memory` how
one call is remembered, and `drafting` puts it together and proves every condition with the real CEL.
"""

from policies.synthesis.calls import Backtest, Call, Draft, Form, TooThin
from policies.synthesis.drafting import broaden, draft, generalise, narrow
from policies.synthesis.literals import literal

__all__ = [
    "Backtest",
    "Call",
    "Draft",
    "Form",
    "TooThin",
    "broaden",
    "draft",
    "generalise",
    "literal",
    "narrow",
]
