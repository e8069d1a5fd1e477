from django.apps import AppConfig
from django.core.checks import register


class ConfigConfig(AppConfig):
    name = "config"
    verbose_name = "Antibody"

    def ready(self) -> None:
        # After every other app: it looks at all of their models.
        from .isolation import everything_is_known

        register(everything_is_known, "isolation")
