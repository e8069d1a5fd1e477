"""The site for a gunicorn that only decides: no sweeper and no signer is waited for."""

from django.conf import settings

# Before the process begins to look at its checks.
settings.ANTIBODY_CHECKS = "tests.policies.guard_site"

from tests.site import application  # noqa: E402, I001 - it sets Django up
from config.checks import CHECKS as EVERY_CHECK  # noqa: E402

CHECKS = tuple(
    check for check in EVERY_CHECK if check.name in {"database", "conditions", "policies"}
)

__all__ = ["CHECKS", "application"]
