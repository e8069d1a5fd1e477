from django.apps import AppConfig
from django.db.models.signals import post_migrate


class GovernanceConfig(AppConfig):
    name = "governance"

    def ready(self) -> None:
        from .database import isolation

        post_migrate.connect(isolation.ensure, dispatch_uid="governance.isolation")
