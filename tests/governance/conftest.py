"""What several of the ground's tests need."""

from __future__ import annotations

import io
import logging
import logging.config
from collections.abc import Iterator

import pytest
from django.conf import settings


@pytest.fixture
def log() -> Iterator[io.StringIO]:
    """What the product's own formatter writes, of everything that anybody logs."""
    logging.config.dictConfig({**settings.LOGGING, "disable_existing_loggers": False})
    written = io.StringIO()
    [configured] = [h for h in logging.getLogger().handlers if h.formatter and h.filters]
    handler = logging.StreamHandler(written)
    handler.setFormatter(configured.formatter)
    for each in configured.filters:
        handler.addFilter(each)
    root = logging.getLogger()
    level = root.level
    root.addHandler(handler)
    root.setLevel(logging.DEBUG)
    yield written
    root.removeHandler(handler)
    root.removeHandler(configured)
    root.setLevel(level)
