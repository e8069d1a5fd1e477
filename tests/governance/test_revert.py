"""Taking a loop back is asked for once."""

from __future__ import annotations

import pytest

from governance import revert
from governance.actors import COMMAND
from governance.models import Checkpoint, Tenant
from tests import factories


def test_who_asks_again_is_told_that_it_was_asked(acme: Tenant) -> None:
    trace = factories.report().trace
    asked = revert.ask_revert(trace, actor=COMMAND, reason="a drill")
    with pytest.raises(revert.AlreadyAsked, match="waits for an answer"):
        revert.ask_revert(trace, actor=COMMAND, reason="a drill, I said")
    assert list(Checkpoint.objects.filter(type=Checkpoint.Type.REVERT_LOOP)) == [asked]
