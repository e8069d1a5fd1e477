"""The pages of policies, below /console/. Each answers with and without a slash at its end."""

from django.urls import re_path

from .views import calibrations, graduation, policies

app_name = "policies"

ID = r"[0-9A-Za-z_.-]{1,60}"

urlpatterns = [
    re_path(r"^policies/?$", policies.index, name="index"),
    re_path(r"^policies/new/?$", policies.write, name="write"),
    re_path(rf"^policies/(?P<policy_id>{ID})/?$", policies.show, name="show"),
    re_path(r"^graduation/?$", graduation.show, name="graduation"),
    re_path(r"^calibrations/?$", calibrations.index, name="calibrations"),
    re_path(rf"^calibrations/(?P<pattern_id>{ID})/?$", calibrations.show, name="calibration"),
    re_path(
        rf"^calibrations/(?P<pattern_id>{ID})/(?P<verb>freeze|thaw|revert)/?$",
        calibrations.change,
        name="calibrate",
    ),
    re_path(
        rf"^calibrations/(?P<pattern_id>{ID})/matches/(?P<patternmatch_id>{ID})/(?P<verdict>right|wrong)/?$",
        calibrations.judge,
        name="judge",
    ),
]
