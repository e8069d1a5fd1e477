"""The page where people sign in, to the console and to the admin."""

from __future__ import annotations

from typing import Any

from django.contrib import admin
from django.core.exceptions import ValidationError
from django.db import transaction
from django.http import HttpRequest, HttpResponse
from unfold.forms import AuthenticationForm

from .. import signing_in
from ..access.addresses import address_of


class SignInForm(AuthenticationForm):
    """Name and password; whoever failed too often is told how long to wait before the password is looked at."""

    def clean(self) -> dict[str, Any]:
        name, password = self.cleaned_data.get("username"), self.cleaned_data.get("password")
        if self.request is None or not name or not password:
            return dict(super().clean())
        try:
            made = signing_in.attempt(name, address_of(self.request))
        except signing_in.TooSoon as soon:
            self.request.sign_in_wait = soon.retry_after
            raise ValidationError(str(soon), code=soon.code) from soon
        cleaned = super().clean()
        signing_in.succeed(made)
        return dict(cleaned)


# A wrong password must be recorded, and a right one must not wait for others behind the record's lock.
@transaction.non_atomic_requests
def sign_in(request: HttpRequest) -> HttpResponse:
    """Django's page, with 429 for whoever must wait."""
    response: HttpResponse = admin.site.login(request)
    if seconds := getattr(request, "sign_in_wait", 0):
        response.status_code = 429
        response["Retry-After"] = str(seconds)
    return response
