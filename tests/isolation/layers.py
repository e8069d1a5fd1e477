"""Switching the first layer off, so that the others can be seen alone."""

from __future__ import annotations

import gc
from collections.abc import Iterator
from contextlib import contextmanager

from django.db import models

from governance.database.compiled import Compiled
from governance.database.scoped import TenantManager


@contextmanager
def without_managers() -> Iterator[None]:
    """Every queryset finds whatever the database shows; texts that were made with the filter are made anew."""
    scoped = TenantManager.get_queryset
    try:
        TenantManager.get_queryset = models.Manager.get_queryset  # type: ignore[method-assign]
        _forget_texts()
        yield
    finally:
        TenantManager.get_queryset = scoped  # type: ignore[method-assign]
        _forget_texts()


def _forget_texts() -> None:
    for each in gc.get_objects():
        if type(each) is Compiled:  # to ask a proxy for its class would wake what it stands for
            each._text = None
