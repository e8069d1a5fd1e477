"""The pages of patterns, below /console/. Each answers with and without a slash at its end."""

from django.urls import re_path

from .views import exchange, patterns

app_name = "catalog"

ID = r"[0-9A-Za-z_.-]{1,60}"

urlpatterns = [
    re_path(r"^patterns/?$", patterns.index, name="patterns"),
    re_path(r"^patterns/export/?$", exchange.export, name="export"),
    re_path(r"^patterns/import/?$", exchange.bring, name="import"),
    re_path(rf"^patterns/(?P<pattern_id>{ID})/?$", patterns.show, name="pattern"),
    re_path(rf"^patterns/(?P<pattern_id>{ID})/rename/?$", patterns.rename, name="rename"),
]
