"""Django settings. Every value that differs between installations comes from the environment."""

from __future__ import annotations

from datetime import timedelta
from pathlib import Path
from urllib.parse import urlsplit

from django.core.exceptions import ImproperlyConfigured

from loanpoll_site.environment import MAKE_SECRET, Environment

BASE_DIR = Path(__file__).resolve().parent.parent
env = Environment(BASE_DIR)

DEBUG = env.flag("DEBUG", default=False)
SECRET_KEY = env.text("SECRET_KEY", example="50-random-characters", how=f"Make one: {MAKE_SECRET}")
SECRET_KEY_FALLBACKS = env.names("SECRET_KEY_FALLBACKS", [])
LOANPOLL_ALLOW_PRIVATE_HOSTS = env.flag("LOANPOLL_ALLOW_PRIVATE_HOSTS", default=False)
PUBLIC_BASE_URL = env.url(
    "PUBLIC_BASE_URL",
    example="https://loanpoll.example.co.ke",
    allow_http=LOANPOLL_ALLOW_PRIVATE_HOSTS,
)
ALLOWED_HOSTS = env.hosts("ALLOWED_HOSTS")
if not ALLOWED_HOSTS and not DEBUG:
    raise ImproperlyConfigured(
        "ALLOWED_HOSTS is not set. Example: ALLOWED_HOSTS=loanpoll.example.co.ke. "
        "List the host names people and Safaricom use, with commas."
    )
CSRF_TRUSTED_ORIGINS = env.origins("CSRF_TRUSTED_ORIGINS")

FIELD_ENCRYPTION_KEYS = env.field_keys("FIELD_ENCRYPTION_KEYS")
CRON_SECRET = env.shared_secret("CRON_SECRET")
LOANPOLL_TASKS = env.choice("LOANPOLL_TASKS", "inline", ("inline", "queue"))

MPESA_SANDBOX_URL = env.url(
    "MPESA_SANDBOX_URL",
    "https://sandbox.safaricom.co.ke",
    example="https://sandbox.safaricom.co.ke",
    allow_http=LOANPOLL_ALLOW_PRIVATE_HOSTS,
)
MPESA_PRODUCTION_URL = env.url(
    "MPESA_PRODUCTION_URL",
    "https://api.safaricom.co.ke",
    example="https://api.safaricom.co.ke",
    allow_http=LOANPOLL_ALLOW_PRIVATE_HOSTS,
)
# The twelve addresses of contracts/mpesa.md 5.5 (portal list, checked 2026-09-06).
SAFARICOM_CALLBACK_IPS = [
    *(f"196.201.214.{last}" for last in (200, 206, 207, 208)),
    *(f"196.201.213.{last}" for last in (44, 114)),
    *(f"196.201.212.{last}" for last in (69, 74, 127, 129, 136, 138)),
]
MPESA_CALLBACK_ALLOWED_IPS = env.networks("MPESA_CALLBACK_ALLOWED_IPS", SAFARICOM_CALLBACK_IPS)
TRUSTED_PROXY_COUNT = env.number("TRUSTED_PROXY_COUNT", 0)

# Seconds, all of them. The reasons for the defaults stand in docs/reference/settings.md.
LOANPOLL_HTTP_CONNECT_TIMEOUT = env.seconds("LOANPOLL_HTTP_CONNECT_TIMEOUT", 5)
LOANPOLL_HTTP_READ_TIMEOUT = env.seconds("LOANPOLL_HTTP_READ_TIMEOUT", 60)
LOANPOLL_RECHECK_MAX_AGE = env.seconds("LOANPOLL_RECHECK_MAX_AGE", 10)
LOANPOLL_STATUS_QUERY_AFTER = env.seconds("LOANPOLL_STATUS_QUERY_AFTER", 300)
LOANPOLL_NOT_FOUND_INTERVAL = env.seconds("LOANPOLL_NOT_FOUND_INTERVAL", 600)
LOANPOLL_RESEND_AFTER = env.seconds("LOANPOLL_RESEND_AFTER", 3600)
LOANPOLL_RESEND_UNTIL = env.seconds("LOANPOLL_RESEND_UNTIL", 86400)
LOANPOLL_UNKNOWN_REVIEW_AFTER = env.seconds("LOANPOLL_UNKNOWN_REVIEW_AFTER", 86400)
LOANPOLL_BACKOFF_BASE = env.seconds("LOANPOLL_BACKOFF_BASE", 60)
LOANPOLL_POLL_INTERVAL = env.seconds("LOANPOLL_POLL_INTERVAL", 300)
LOANPOLL_FIGURES_SECONDS = env.seconds("LOANPOLL_FIGURES_SECONDS", 60)
LOANPOLL_POLL_GRACE = env.seconds("LOANPOLL_POLL_GRACE", 600)
LOANPOLL_HTTP_PASS_BUDGET = env.seconds("LOANPOLL_HTTP_PASS_BUDGET", 25)

# Told to staff by disbursements/alerts; with none of these set nobody is told anything.
ALERT_EMAILS = env.emails("ALERT_EMAILS")
ALERT_WEBHOOK_URL = env.hidden_url(
    "ALERT_WEBHOOK_URL",
    example="https://alerts.example.co.ke/loanpoll",
    allow_private_hosts=LOANPOLL_ALLOW_PRIVATE_HOSTS,
)
ALERT_WEBHOOK_SECRET = env.text("ALERT_WEBHOOK_SECRET", "")
ALERT_REPEAT_AFTER = env.seconds("ALERT_REPEAT_AFTER", 0)
HEARTBEAT_URL = env.hidden_url(
    "HEARTBEAT_URL",
    example="https://hc-ping.com/your-check",
    allow_private_hosts=LOANPOLL_ALLOW_PRIVATE_HOSTS,
)
_mail = env.mail("EMAIL_URL", "smtp://localhost:25")
EMAIL_BACKEND = _mail["EMAIL_BACKEND"]
EMAIL_HOST = _mail["EMAIL_HOST"] or ""
EMAIL_PORT = _mail["EMAIL_PORT"]
EMAIL_HOST_USER = _mail["EMAIL_HOST_USER"]
EMAIL_HOST_PASSWORD = _mail["EMAIL_HOST_PASSWORD"]
EMAIL_USE_TLS = _mail.get("EMAIL_USE_TLS", False)
EMAIL_USE_SSL = _mail.get("EMAIL_USE_SSL", False)
EMAIL_FILE_PATH = f"/{_mail['EMAIL_FILE_PATH']}"
EMAIL_TIMEOUT = 5  # Django's default is to wait for ever, and a pass waits with it
DEFAULT_FROM_EMAIL = env.sender(
    "DEFAULT_FROM_EMAIL", f"Loan Poll <loanpoll@{urlsplit(PUBLIC_BASE_URL).hostname}>"
)

INSTALLED_APPS = [
    "loanpoll_site.admin_config.DeskAdminConfig",
    "django.contrib.auth",
    "django.contrib.contenttypes",
    "django.contrib.sessions",
    "django.contrib.messages",
    "django.contrib.staticfiles",
    "rest_framework",
    "rest_framework_api_key",
    "drf_spectacular",
    "drf_spectacular_sidecar",
    "django_crontab",
    "axes",
    "csp",
    "django_otp",
    "django_otp.plugins.otp_totp",
    "django_otp.plugins.otp_static",
    "mpesa",
    "partners",
    "loans",
    "disbursements",
    "loanpoll_site",
    "demo",  # one command; refuses every database but its own
]

MIDDLEWARE = [
    "loanpoll_site.requests.RequestIdMiddleware",
    "loanpoll_site.requests.NullCharacterMiddleware",
    "loanpoll_site.requests.ChunkedBodyMiddleware",
    "django.middleware.security.SecurityMiddleware",
    "loanpoll_site.headers.PermissionsPolicyMiddleware",
    "csp.middleware.CSPMiddleware",
    "whitenoise.middleware.WhiteNoiseMiddleware",
    "django.contrib.sessions.middleware.SessionMiddleware",
    "django.middleware.common.CommonMiddleware",
    "django.middleware.csrf.CsrfViewMiddleware",
    "django.contrib.auth.middleware.AuthenticationMiddleware",
    "django_otp.middleware.OTPMiddleware",
    "loanpoll_site.sessions.IdleSessionMiddleware",
    "loanpoll_site.two_factor.TwoFactorMiddleware",
    "django.contrib.messages.middleware.MessageMiddleware",
    "django.middleware.clickjacking.XFrameOptionsMiddleware",
    "axes.middleware.AxesMiddleware",  # it must stand last
]

ROOT_URLCONF = "loanpoll_site.urls"
WSGI_APPLICATION = "loanpoll_site.wsgi.application"
# Every API address is served with and without its slash; a redirect would lose a POST's body.
APPEND_SLASH = False

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
            ],
        },
    },
]

DATABASES = {"default": env.database("DATABASE_URL", f"sqlite:///{BASE_DIR / 'loanpoll.sqlite3'}")}
if DATABASES["default"]["ENGINE"] == "django.db.backends.sqlite3":
    # WAL alone does not stop "database is locked": IMMEDIATE does. FULL, because this is money.
    DATABASES["default"]["OPTIONS"] = {
        "transaction_mode": "IMMEDIATE",
        "timeout": 20,
        "init_command": "PRAGMA journal_mode=WAL;PRAGMA synchronous=FULL;",
    }
    # A thread of the web site keeps its connection: opening one costs more than a callback's work.
    DATABASES["default"]["CONN_MAX_AGE"] = 60
elif DATABASES["default"]["ENGINE"] == "django.db.backends.postgresql":
    DATABASES["default"]["CONN_HEALTH_CHECKS"] = True  # a restarted server must not cost a payment
    if _pool_size := env.number("LOANPOLL_DATABASE_POOL", 24):
        DATABASES["default"]["CONN_MAX_AGE"] = 0  # Django refuses a pool of persistent connections
        DATABASES["default"].setdefault("OPTIONS", {})["pool"] = {
            "min_size": 1,
            "max_size": _pool_size,
            "timeout": 20,
        }
        # A process that sleeps or vanishes inside a transaction would keep its row locks, and all
        # other passes waiting. Not without the pool: PgBouncer may refuse this start-up option.
        DATABASES["default"]["OPTIONS"].setdefault(
            "options", "-c idle_in_transaction_session_timeout=60s"
        )
else:
    raise ImproperlyConfigured(
        "DATABASE_URL names a database Loan Poll is not tested on. Use PostgreSQL "
        "(postgres://user:password@host:5432/loanpoll) or leave it empty for SQLite."
    )
if LOANPOLL_TASKS == "queue":
    if DATABASES["default"]["ENGINE"] != "django.db.backends.postgresql":
        raise ImproperlyConfigured(
            "LOANPOLL_TASKS=queue needs PostgreSQL. Set "
            "DATABASE_URL=postgres://user:password@host:5432/loanpoll, or LOANPOLL_TASKS=inline."
        )
    # Installed only here: its migrations are PostgreSQL's. First, so that our admin comes after.
    INSTALLED_APPS.insert(0, "procrastinate.contrib.django")
PROCRASTINATE_AUTODISCOVER_MODULE_NAME = "jobs"
DEFAULT_AUTO_FIELD = "django.db.models.BigAutoField"

AUTH_PASSWORD_VALIDATORS = [
    {"NAME": "django.contrib.auth.password_validation.UserAttributeSimilarityValidator"},
    {
        "NAME": "django.contrib.auth.password_validation.MinimumLengthValidator",
        "OPTIONS": {"min_length": 12},
    },
    {"NAME": "django.contrib.auth.password_validation.CommonPasswordValidator"},
    {"NAME": "django.contrib.auth.password_validation.NumericPasswordValidator"},
]
AUTHENTICATION_BACKENDS = [
    "axes.backends.AxesStandaloneBackend",  # first: it refuses before a password is looked at
    "django.contrib.auth.backends.ModelBackend",
]
LOGIN_URL = "login"
# One person's guesses must not lock out a colleague, nor a whole office behind one address.
AXES_LOCKOUT_PARAMETERS = [["username", "ip_address"]]
AXES_FAILURE_LIMIT = 5
AXES_COOLOFF_TIME = timedelta(minutes=15)
AXES_RESET_ON_SUCCESS = True
# The page says "15 minutes", so trying again meanwhile must not make it longer.
AXES_RESET_COOL_OFF_ON_FAILURE_DURING_LOCKOUT = False
AXES_CLIENT_IP_CALLABLE = "disbursements.doors.source_address"
AXES_LOCKOUT_CALLABLE = "loanpoll_site.locking.locked_out"
AXES_VERBOSE = False
LOANPOLL_REQUIRE_TWO_FACTOR = env.flag("LOANPOLL_REQUIRE_TWO_FACTOR", default=False)
OTP_TOTP_ISSUER = "Loan Poll"

LANGUAGE_CODE = "en-gb"
TIME_ZONE = "Africa/Nairobi"  # for pages; the database and the code hold UTC
USE_I18N = True
USE_TZ = True

STATIC_URL = "static/"
STATIC_ROOT = BASE_DIR / "staticfiles"

_https = PUBLIC_BASE_URL.startswith("https://")
SECURE_SSL_REDIRECT = _https
SECURE_HSTS_SECONDS = 31_536_000 if _https else 0
SECURE_HSTS_INCLUDE_SUBDOMAINS = _https
SECURE_HSTS_PRELOAD = _https
SESSION_COOKIE_SECURE = _https
CSRF_COOKIE_SECURE = _https
SESSION_COOKIE_AGE = 8 * 3600  # without a page asked for: loanpoll_site/sessions.py
SESSION_SAVE_EVERY_REQUEST = False
X_FRAME_OPTIONS = "DENY"
CSRF_FAILURE_VIEW = "loanpoll_site.errors.form_refused"
# Nothing inline, nothing from elsewhere, on every page of the site.
CONTENT_SECURITY_POLICY = {
    "DIRECTIVES": {
        "default-src": ["'none'"],
        "script-src": ["'self'"],
        "style-src": ["'self'"],
        "img-src": ["'self'", "data:"],
        "font-src": ["'self'"],
        "connect-src": ["'self'"],
        "form-action": ["'self'"],
        "frame-ancestors": ["'none'"],
        "base-uri": ["'none'"],
    }
}
DATA_UPLOAD_MAX_MEMORY_SIZE = 256 * 1024
if TRUSTED_PROXY_COUNT:
    SECURE_PROXY_SSL_HEADER = ("HTTP_X_FORWARDED_PROTO", "https")
# Machines may come through an inner http hop; a redirect would lose their body.
SECURE_REDIRECT_EXEMPT = [r"^api/", r"^healthz/?$", r"^readyz/?$", r"^health/", r"^metrics/?$"]

# The folder is part of the job: django-crontab names a job's lock file in /tmp, and finds its
# lines in the crontab, by the job alone, and two installations on one machine must not meet there.
CRONJOBS = [("*/5 * * * *", "loanpoll_site.cron.scheduled_loan_sync", [str(BASE_DIR)])]
CRONTAB_COMMENT = f"Loan Poll in {BASE_DIR}"
CRONTAB_LOCK_JOBS = True
CRONTAB_DJANGO_PROJECT_NAME = "loanpoll_site"
CRONTAB_DJANGO_MANAGE_PATH = str(BASE_DIR / "manage.py")
CRONTAB_DJANGO_SETTINGS_MODULE = "loanpoll_site.settings"

METRICS_TOKEN = env.shared_secret("METRICS_TOKEN")
REST_FRAMEWORK = {
    "DEFAULT_SCHEMA_CLASS": "drf_spectacular.openapi.AutoSchema",
    "DEFAULT_RENDERER_CLASSES": ["rest_framework.renderers.JSONRenderer"],
    "DEFAULT_PARSER_CLASSES": ["rest_framework.parsers.JSONParser"],
    "DEFAULT_AUTHENTICATION_CLASSES": [],
    "DEFAULT_PERMISSION_CLASSES": [],
    "EXCEPTION_HANDLER": "disbursements.api.problems.exception_handler",
    # Per caller. Counted in each process's memory unless CACHES names a shared cache.
    "DEFAULT_THROTTLE_RATES": {
        "sync": env.rate("LOANPOLL_API_SYNC_RATE", "60/min"),
        "read": env.rate("LOANPOLL_API_READ_RATE", "600/min"),
    },
    "UNAUTHENTICATED_USER": "django.contrib.auth.models.AnonymousUser",
}
SPECTACULAR_SETTINGS = {
    "TITLE": "Loan Poll",
    "DESCRIPTION": (
        "Pays approved Mifos X loans over M-Pesa B2C. Every path answers with and without a "
        "trailing slash, and never redirects. Errors are problem details (RFC 9457)."
    ),
    "VERSION": "1.0.0",
    "OAS_VERSION": "3.1.0",
    "SERVE_INCLUDE_SCHEMA": False,
    "SERVE_AUTHENTICATION": [],
    "COMPONENT_SPLIT_REQUEST": True,
    "PREPROCESSING_HOOKS": ["disbursements.api.openapi.drop_slashed"],
    "POSTPROCESSING_HOOKS": [
        "drf_spectacular.hooks.postprocess_schema_enums",
        "disbursements.api.openapi.add_problems",
    ],
    "ENUM_NAME_OVERRIDES": {
        "LoanStatus": "loans.models.LoanStatus",
        "AttemptStatus": "disbursements.models.AttemptStatus",
        "PassStatus": "disbursements.api.documents.PASS_STATUSES",
    },
    "SWAGGER_UI_DIST": "SIDECAR",
    "SWAGGER_UI_FAVICON_HREF": "SIDECAR",
    "REDOC_DIST": "SIDECAR",
}

_log_formatter = {
    "json": "loanpoll_site.logs.JsonFormatter",
    "plain": "loanpoll_site.logs.PlainFormatter",
}[env.choice("LOG_FORMAT", "plain" if DEBUG else "json", ("json", "plain"))]
_log_level = env.choice("LOG_LEVEL", "INFO", ("DEBUG", "INFO", "WARNING", "ERROR"))
LOGGING = {
    "version": 1,
    "disable_existing_loggers": False,
    "formatters": {"line": {"()": _log_formatter}},
    # stderr, because the stdout of a command belongs to its --json.
    "handlers": {"stderr": {"class": "logging.StreamHandler", "formatter": "line"}},
    "root": {"handlers": ["stderr"], "level": _log_level},
    "loggers": {
        # Django gives these two handlers of their own; the scrubbing one must be the only way out.
        "django": {"handlers": [], "level": _log_level, "propagate": True},
        "django.server": {"handlers": [], "level": _log_level, "propagate": True},
        "axes": {"level": "WARNING"},  # every sign-in is in its table
        "procrastinate": {"level": "WARNING"},  # else two lines for each job
        "psycopg.pool": {"level": "ERROR"},  # else a line for each try; whoever waits says it once
        # A line per refused request would let a stranger fill the disk; 5xx are kept.
        "django.request": {"level": "ERROR"},
    },
}

# For the check that finds misspelt names (loanpoll_site/checks.py).
ENVIRONMENT_NAMES = frozenset(env.names_read)
