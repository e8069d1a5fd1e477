from django.apps import AppConfig
from django.core.checks import Tags, register
from django.db.models.signals import post_migrate


class GovernanceConfig(AppConfig):
    name = "governance"

    def ready(self) -> None:
        from .database import checks, isolation

        post_migrate.connect(isolation.ensure, dispatch_uid="governance.isolation")
        register(checks.managers_are_scoped, Tags.models)
