from django.apps import AppConfig


class TortureConfig(AppConfig):
    name = "config.torture"
    label = "torture"
    verbose_name = "Torture"

    def ready(self) -> None:
        from . import points

        points.install()
