"""The site of ``bench guard``, for gunicorn: the product with one more route, and no other process beside it."""

from django.conf import settings

# Before the process begins to look at its checks. The guard waits for them, and some of them for a sweeper and a
# signer, which would only take the cores.
settings.ANTIBODY_CHECKS = "config.bench.guard_site"
# A slow answer is to be measured, and not to become a refusal.
settings.SPINE_MILLISECONDS = 10_000
settings.ROOT_URLCONF = "config.bench.guard_urls"

from config.bench.site import application  # noqa: E402
from config.checks import CHECKS as EVERY_CHECK  # noqa: E402

CHECKS = tuple(
    check for check in EVERY_CHECK if check.name in {"database", "rls", "conditions", "policies"}
)

__all__ = ["CHECKS", "application"]
