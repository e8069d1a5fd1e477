"""Settings, from the environment. A wrong value stops the start; thresholds of rules are not settings."""

from __future__ import annotations

import os
from datetime import timedelta
from pathlib import Path

import environ
from django.core.exceptions import ImproperlyConfigured
from django.templatetags.static import static

from governance.access.wire import networks

from .database import address
from .secrets import kept_secret

env = environ.Env()
BASE_DIR = Path(__file__).resolve().parent.parent


def one_of(name: str, default: str, allowed: set[str]) -> str:
    """A value of the environment that must be one of a few words."""
    value = str(env.str(name, default))
    if value not in allowed:
        raise ImproperlyConfigured(
            f"{name} is {value!r}; it must be one of {', '.join(sorted(allowed))}."
        )
    return value


def whole_number(name: str, default: int, low: int, high: int) -> int:
    """A whole number of the environment within limits."""
    raw = str(env.str(name, str(default)))
    if not raw.lstrip("-").isdigit() or not low <= int(raw) <= high:
        raise ImproperlyConfigured(
            f"{name} is {raw!r}; it must be a whole number from {low} to {high}."
        )
    return int(raw)


def truth(name: str, default: str) -> bool:
    """A yes or no of the environment."""
    return one_of(name, default, {"true", "false", "1", "0"}) in {"true", "1"}


def address_of(name: str, schemes: set[str]) -> str:
    """An address of the environment, empty when it is not given."""
    value = str(env.str(name, ""))
    if value and value.split("://", maxsplit=1)[0] not in schemes:
        raise ImproperlyConfigured(
            f"{name} must begin with one of {', '.join(f'{s}://' for s in sorted(schemes))}."
        )
    return value


# --- Places -----------------------------------------------------------------------------------------------

DATA_DIR = Path(env.str("ANTIBODY_DATA_DIR", str(BASE_DIR / "var"))).expanduser().resolve()
# What the ledger's signer keeps outside the database; in production its own user's, readable by ours.
LEDGER_DIR = Path(env.str("ANTIBODY_LEDGER_DIR", str(DATA_DIR / "ledger"))).expanduser().resolve()
PORT = whole_number("PORT", 8000, 1, 65_535)

# --- Security ---------------------------------------------------------------------------------------------

DEBUG = truth("DEBUG", "false")
SECRET_KEY = env.str("SECRET_KEY", "") or kept_secret(DATA_DIR, "django")
if len(SECRET_KEY) < 50:
    raise ImproperlyConfigured("SECRET_KEY must have at least 50 characters.")
ALLOWED_HOSTS = env.list("ALLOWED_HOSTS", default=["localhost", "127.0.0.1", "[::1]"])
CSRF_TRUSTED_ORIGINS = env.list("CSRF_TRUSTED_ORIGINS", default=[])
# Behind TLS set HTTPS=true; without it the cookies must work on a plain loopback address.
HTTPS = truth("HTTPS", "false")
SECURE_SSL_REDIRECT = HTTPS
SESSION_COOKIE_SECURE = CSRF_COOKIE_SECURE = HTTPS
SECURE_HSTS_SECONDS = 31_536_000 if HTTPS else 0
SECURE_HSTS_INCLUDE_SUBDOMAINS = SECURE_HSTS_PRELOAD = HTTPS
SECURE_PROXY_SSL_HEADER = ("HTTP_X_FORWARDED_PROTO", "https") if HTTPS else None
SECURE_REFERRER_POLICY = "same-origin"
X_FRAME_OPTIONS = "DENY"
SESSION_COOKIE_HTTPONLY = True
SESSION_COOKIE_SAMESITE = "Lax"
AUTH_PASSWORD_VALIDATORS = [
    {"NAME": "django.contrib.auth.password_validation.UserAttributeSimilarityValidator"},
    {
        "NAME": "django.contrib.auth.password_validation.MinimumLengthValidator",
        "OPTIONS": {"min_length": 10},
    },
    {"NAME": "django.contrib.auth.password_validation.CommonPasswordValidator"},
]
AUTH_USER_MODEL = "governance.User"
LOGIN_URL = "/admin/login/"
LOGIN_REDIRECT_URL = "/console/"
# The strict parser has its own limit for bodies; this one is for forms.
DATA_UPLOAD_MAX_MEMORY_SIZE = 1_048_576

# The only peers that are believed when they say for whom they ask (X-Forwarded-For): addresses or networks.
try:
    TRUSTED_PROXIES = networks(env.list("TRUSTED_PROXIES", default=[]))
except ValueError as error:
    raise ImproperlyConfigured(f"TRUSTED_PROXIES: {error}.") from error
SESSION_COOKIE_AGE = 43_200  # seconds; governance/access/sessions.py ends an idle one sooner

# --- The application --------------------------------------------------------------------------------------

INSTALLED_APPS = [
    "unfold",
    "unfold.contrib.filters",
    "unfold.contrib.forms",
    "django.contrib.admin",
    "django.contrib.auth",
    "django.contrib.contenttypes",
    "django.contrib.sessions",
    "django.contrib.messages",
    "django.contrib.staticfiles",
    "django.contrib.humanize",
    "rest_framework",
    "django_filters",
    "drf_spectacular",
    "drf_spectacular_sidecar",
    "django_celery_beat",
    "channels",
    "django_htmx",
    "django_structlog",
    "governance",
    "incidents",
    "catalog",
    "recovery",
    "policies",
    "routing",
    "config",
]

MIDDLEWARE = [
    "governance.access.middleware.gesture_middleware",
    # Headers first, so that whatever is refused further in, or sent to TLS, has them too.
    "governance.access.headers.headers_middleware",
    "django.middleware.security.SecurityMiddleware",
    "django.middleware.clickjacking.XFrameOptionsMiddleware",
    "governance.access.counting.limits_middleware",
    "governance.access.wellformed.well_formed_middleware",
    "governance.access.patience.PatienceMiddleware",
    "django.contrib.sessions.middleware.SessionMiddleware",
    "django.middleware.common.CommonMiddleware",
    "django.middleware.csrf.CsrfViewMiddleware",
    "django.contrib.auth.middleware.AuthenticationMiddleware",
    "governance.access.sessions.session_middleware",
    "django.contrib.messages.middleware.MessageMiddleware",
    "django_htmx.middleware.HtmxMiddleware",
    "governance.access.middleware.TenantMiddleware",
]

ROOT_URLCONF = "config.urls"
WSGI_APPLICATION = "config.wsgi.application"
ASGI_APPLICATION = "config.asgi.application"
APPEND_SLASH = False  # every route answers with and without a slash

TEMPLATES = [
    {
        "BACKEND": "django.template.backends.django.DjangoTemplates",
        "DIRS": [BASE_DIR / "templates"],
        "APP_DIRS": True,
        "OPTIONS": {
            "context_processors": [
                "django.template.context_processors.request",
                "django.contrib.auth.context_processors.auth",
                "django.contrib.messages.context_processors.messages",
                "governance.screens.context.governance",
            ],
        },
    },
]

# What the lower steps are handed, because they may not import what stands above them.
ANTIBODY_LOOP = "config.loop"
ANTIBODY_CHECKS = "config.checks"
# How long a decision may wait for the database before the answer is no.
SPINE_MILLISECONDS = whole_number("ANTIBODY_SPINE_MS", 250, 20, 10_000)

# --- The database -----------------------------------------------------------------------------------------

DATABASES = {"default": address(os.environ, DATA_DIR)}
# Planning took half of a short statement's time: let the server keep the plans of a connection. A pooler
# that hands connections round between transactions must know about that (pgbouncer does from 1.21 on).
if truth("ANTIBODY_PREPARED", "true"):
    DATABASES["default"]["OPTIONS"] |= {"server_side_binding": True, "prepare_threshold": 2}
# Connections that a whole process shares; 0: each thread keeps its own.
POOL = whole_number("ANTIBODY_POOL", 0, 0, 1_000)
if POOL:
    DATABASES["default"]["CONN_MAX_AGE"] = 0
    DATABASES["default"]["OPTIONS"]["pool"] = {"min_size": 2, "max_size": POOL, "timeout": 5}
DEFAULT_AUTO_FIELD = "django.db.models.BigAutoField"

# --- Redis, Celery and the live channel -------------------------------------------------------------------

REDIS_URL = address_of("REDIS_URL", {"redis", "rediss", "unix"})

CELERY_BROKER_URL = REDIS_URL or "memory://localhost/"
CELERY_TASK_IGNORE_RESULT = True
CELERY_TASK_ALWAYS_EAGER = False
CELERY_WORKER_HIJACK_ROOT_LOGGER = False
CELERY_BROKER_CONNECTION_RETRY_ON_STARTUP = True
# A hint that cannot be delivered soon is worth nothing: the sweeper finds the step anyway.
CELERY_BROKER_TRANSPORT_OPTIONS = (
    {"socket_timeout": 5, "socket_connect_timeout": 2, "visibility_timeout": 3600}
    if REDIS_URL
    else {}
)
CELERY_BEAT_SCHEDULER = "django_celery_beat.schedulers:DatabaseScheduler"
CELERY_TIMEZONE = "UTC"
CELERY_BEAT_SCHEDULE = {
    "expire checkpoints": {
        "task": "governance.expire_checkpoints",
        "schedule": timedelta(minutes=1),
    },
    # The sweeper does it every second, and truth needs neither: a bypass is over when its time is.
    "close bypasses": {"task": "governance.tend_bypasses", "schedule": timedelta(minutes=1)},
    "forget old requests": {"task": "governance.forget_requests", "schedule": timedelta(hours=1)},
    "weigh graduation": {
        "task": "policies.re_evaluate_graduation",
        "schedule": timedelta(hours=1),
    },
    "sign patterns again": {
        "task": "catalog.renew_signatures",
        "schedule": timedelta(minutes=1),
    },
    "calibrate patterns": {"task": "policies.calibrate", "schedule": timedelta(hours=1)},
    "end routing adjustments": {
        "task": "routing.end_adjustments",
        "schedule": timedelta(minutes=1),
    },
}

CHANNEL_LAYERS = {
    "default": {
        "BACKEND": "channels_redis.pubsub.RedisPubSubChannelLayer",
        "CONFIG": {"hosts": [REDIS_URL]},
    }
    if REDIS_URL
    else {"BACKEND": "channels.layers.InMemoryChannelLayer"}
}

# --- The API ----------------------------------------------------------------------------------------------

REST_FRAMEWORK = {
    "DEFAULT_AUTHENTICATION_CLASSES": ["governance.access.authentication.TokenAuthentication"],
    "DEFAULT_PERMISSION_CLASSES": ["governance.access.permissions.Declared"],
    "DEFAULT_PARSER_CLASSES": ["governance.access.parsers.StrictJSONParser"],
    "DEFAULT_RENDERER_CLASSES": ["rest_framework.renderers.JSONRenderer"],
    "DEFAULT_CONTENT_NEGOTIATION_CLASS": "governance.access.negotiation.Negotiation",
    "DEFAULT_PAGINATION_CLASS": "governance.access.pagination.KeysetPagination",
    "DEFAULT_FILTER_BACKENDS": ["django_filters.rest_framework.DjangoFilterBackend"],
    "DEFAULT_SCHEMA_CLASS": "governance.access.schema.AntibodySchema",
    "EXCEPTION_HANDLER": "governance.access.problems.handle",
    "UNAUTHENTICATED_USER": None,
}
SPECTACULAR_SETTINGS = {
    "TITLE": "Antibody",
    "DESCRIPTION": "Governance for LLM agents: every failure becomes a rule that prevents the next one.",
    "VERSION": "1.0.0",
    "OAS_VERSION": "3.1.0",
    "SCHEMA_PATH_PREFIX": "/api/v1",
    "SERVE_INCLUDE_SCHEMA": False,
    "SERVE_PERMISSIONS": [],
    "SERVE_AUTHENTICATION": [],
    "COMPONENT_SPLIT_REQUEST": True,
    "SWAGGER_UI_DIST": "SIDECAR",
    "SWAGGER_UI_FAVICON_HREF": "SIDECAR",
    "REDOC_DIST": "SIDECAR",
    "ENUM_GENERATE_CHOICE_DESCRIPTION": False,
    "ENUM_NAME_OVERRIDES": {
        "IncidentState": "incidents.models.Incident.State",
        "PagerDutySeverity": "incidents.intake.pagerduty.SEVERITIES",
        "IncidentSeverity": "incidents.models.Incident.Severity",
        "IncidentCategory": "incidents.models.Incident.Category",
        "PatternSilence": "catalog.models.Pattern.Silence",
        "LoopState": "governance.models.LoopTrace.State",
        "CheckpointState": "governance.models.Checkpoint.State",
        "BypassState": "governance.models.Bypass.State",
        "RecoveryState": "recovery.models.Recovery.State",
        "RecoverySource": "recovery.models.Recovery.Source",
        "RecoveryKind": "recovery.models.ActionKind",
        "PolicyState": "policies.models.Policy.State",
        "PolicyCategory": "policies.models.Policy.Category",
        "PolicyAction": "policies.models.Policy.Action",
        "PolicySource": "policies.models.Policy.Source",
        "ActionKind": "policies.models.Decision.Kind",
        "Verdict": "policies.models.Decision.Verdict",
        "PolicyMode": "policies.api.policies.MODES",
        "ModeOfDecision": "policies.models.Decision.Mode",
        "AdjustmentState": "routing.models.Adjustment.State",
    },
}

# --- A language model for recoveries (off unless an address is given) -------------------------------------

LLM_URL = address_of("LLM_URL", {"http", "https"})
LLM_MODEL = env.str("LLM_MODEL", "")
LLM_API_KEY = env.str("LLM_API_KEY", "")
LLM_TIMEOUT_SECONDS = whole_number("LLM_TIMEOUT_SECONDS", 20, 1, 60)
WEBHOOK_SECRET = env.str("WEBHOOK_SECRET", "") or kept_secret(DATA_DIR, "webhook")
# Webhooks may go to public addresses only, unless an operator says otherwise for his own network.
WEBHOOK_PRIVATE_ADDRESSES = truth("WEBHOOK_PRIVATE_ADDRESSES", "false")

# --- Languages, time, static files, logs ------------------------------------------------------------------

LANGUAGE_CODE = "en"
USE_TZ = True
TIME_ZONE = "UTC"
STATIC_URL = "/static/"
STATICFILES_DIRS = [BASE_DIR / "static"]
STATIC_ROOT = DATA_DIR / "static"

LOGGING = {
    "version": 1,
    "disable_existing_loggers": False,
    "formatters": {
        "line": {
            "()": "governance.redaction.RedactingFormatter",
            "fmt": "%(asctime)s %(levelname)s %(name)s %(gesture)s %(message)s",
        }
    },
    "filters": {"gesture": {"()": "governance.gestures.Gestured"}},
    "handlers": {
        "stderr": {"class": "logging.StreamHandler", "formatter": "line", "filters": ["gesture"]}
    },
    "root": {
        "handlers": ["stderr"],
        "level": one_of("LOG_LEVEL", "WARNING", {"DEBUG", "INFO", "WARNING", "ERROR"}),
    },
}

# --- The admin --------------------------------------------------------------------------------------------

UNFOLD = {
    "SITE_TITLE": "Antibody",
    "SITE_HEADER": "Antibody",
    "SITE_URL": "/console/",
    "SITE_SYMBOL": "vaccines",
    "LOGIN": {"form": "governance.screens.signing_in.SignInForm"},
    "SITE_FAVICONS": [
        {"rel": "icon", "type": "image/svg+xml", "href": lambda request: static("antibody.svg")}
    ],
    "SHOW_VIEW_ON_SITE": True,
    "SHOW_HISTORY": False,
    "STYLES": [lambda request: static("admin.css")],
    "BORDER_RADIUS": "8px",
    "COLORS": {
        "primary": {
            "50": "oklch(98.4% .014 180.72)",
            "100": "oklch(95.3% .051 180.801)",
            "200": "oklch(91% .096 180.426)",
            "300": "oklch(85.5% .138 181.071)",
            "400": "oklch(77.7% .152 181.912)",
            "500": "oklch(70.4% .14 182.503)",
            "600": "oklch(60% .118 184.704)",
            "700": "oklch(51.1% .096 186.391)",
            "800": "oklch(43.7% .078 188.216)",
            "900": "oklch(38.6% .063 188.416)",
            "950": "oklch(27.7% .046 192.524)",
        }
    },
    "SIDEBAR": {"show_search": False, "navigation": "governance.screens.sidebar.navigation"},
}
