"""Good calls kept in memory: nothing that went well is missed, in whatever order it was committed."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import timedelta

import pytest

from governance.database.tenancy import tenant_scope
from governance.ids import earlier, new_id
from policies.models import Outcome
from policies.services import known
from tests import factories

from . import living


@pytest.fixture
def scope(transactional_db: None) -> Iterator[None]:
    """A tenant in a process that has just started; what is read is kept when it is committed."""
    known.forget()
    with tenant_scope(factories.tenant("acme").id):
        yield
    known.forget()


def queries() -> list[str]:
    return [call.arguments["query"] for call in known.good_calls("sql_query")]


@pytest.mark.usefixtures("scope")
def test_a_call_that_was_committed_late_is_found_however_many_came_before() -> None:
    """Its outcome had its id first and was committed last: who reads on from the last one must look back."""
    late = new_id("otc")
    for number in range(60):
        living.succeed({"query": f"SELECT {number}"})
    assert len(queries()) == 60
    call = living.decision({"query": "SELECT late"})
    Outcome.objects.create(id=late, decision=call, agent=call.agent, tool=call.tool, ok=True)
    assert queries()[-1] == "SELECT late"


def test_what_was_made_so_long_before_sorts_below_what_was_made_since() -> None:
    one = new_id("otc")
    assert earlier(one, timedelta(seconds=60)) < earlier(one, timedelta(seconds=59)) < one
    assert one[:4] == earlier(one, timedelta(seconds=60))[:4] == "otc_"
    assert earlier(one, timedelta(0)) <= one
