"""The routes of the console, below /console/. Each answers with and without a slash at its end."""

from django.urls import path, re_path

from . import (
    checkpoints,
    dashboard,
    failmodes,
    operations,
    roles,
    stories,
    streams,
    switches,
    timelines,
)

app_name = "console"

ID = r"[0-9A-Za-z_.-]{1,60}"

urlpatterns = [
    path("", dashboard.show, name="dashboard"),
    re_path(r"^incidents/?$", stories.index, name="incidents"),
    re_path(rf"^stories/(?P<incident_id>{ID})/?$", stories.show, name="story"),
    re_path(
        rf"^stories/(?P<incident_id>{ID})/retry/(?P<stage>[a-z_]+)/?$", stories.retry, name="retry"
    ),
    re_path(rf"^stories/(?P<incident_id>{ID})/revert/?$", stories.revert, name="revert"),
    re_path(rf"^stories/(?P<incident_id>{ID})/stream/?$", streams.story, name="story_stream"),
    re_path(r"^timeline/?$", timelines.show, name="timeline"),
    re_path(r"^checkpoints/?$", checkpoints.index, name="checkpoints"),
    re_path(rf"^checkpoints/(?P<checkpoint_id>{ID})/?$", checkpoints.show, name="checkpoint"),
    re_path(
        rf"^checkpoints/(?P<checkpoint_id>{ID})/(?P<choice>approve|reject)/?$",
        checkpoints.decide,
        name="decide",
    ),
    re_path(r"^fail-modes/?$", failmodes.show, name="failmodes"),
    re_path(r"^roles/?$", roles.show, name="roles"),
    re_path(r"^operations/?$", operations.index, name="operations"),
    re_path(
        r"^operations/(?P<mode>agent-stop|degraded)/(?P<to>on|off)/?$", operations.turn, name="mode"
    ),
    re_path(r"^operations/bypass/?$", operations.ask_bypass, name="ask_bypass"),
    re_path(
        rf"^operations/bypass/(?P<bypass_id>{ID})/confirm/?$",
        operations.confirm_bypass,
        name="confirm_bypass",
    ),
    re_path(
        rf"^operations/bypass/(?P<bypass_id>{ID})/end/?$", operations.end_bypass, name="end_bypass"
    ),
    re_path(r"^switches/?$", switches.index, name="switches"),
    re_path(r"^switches/(?P<name>[a-z_]+)/(?P<to>on|off)/?$", switches.turn, name="turn"),
    re_path(r"^tenant/?$", switches.choose_tenant, name="tenant"),
    re_path(
        r"^streams/(?P<what>dashboard|loops|timeline|checkpoints|state|operations)/?$",
        streams.tenant,
        name="stream",
    ),
]
