"""Where things are: read once, from the environment and the platform's conventions.

Library code never reads ``os.environ`` for its own configuration; it is handed a `Settings`.
"""

from __future__ import annotations

import os
import re
import shlex
from dataclasses import dataclass, field
from pathlib import Path

import platformdirs

from mltemporal.errors import InvalidRequest
from mltemporal.profiles import PROFILE_VARIABLE, profile_environment

_exported: dict[str, str] = {}
"""What `Settings.export` put into this process's environment."""

BACKENDS = ("local", "kubernetes")
VERSIONINGS = ("auto_upgrade", "pinned")
NO_KEYS = "none"
IMAGE_POLICIES = ("any", "tag", "digest")


@dataclass(frozen=True, kw_only=True)
class ClusterSettings:
    """Where Kubernetes Jobs run, and what each of them gets."""

    namespace: str | None = None
    """None takes that of the kubeconfig's context, or of the pod."""
    context: str | None = None
    """A context of the kubeconfig; None takes its current one, or the pod's service account."""
    storage_secret: str | None = None
    """A Secret whose keys become each job's environment: credentials and endpoint of the storage."""
    service_account: str | None = None
    """What jobs run as, for workload identity; None: the namespace's default."""
    image_pull_secrets: tuple[str, ...] = ()
    image_policy: str = "any"
    """Whether an image must name a ``tag``, or a ``digest``."""


@dataclass(frozen=True, kw_only=True)
class Settings:
    """One consistent set of places and limits. Secrets are not shown by ``repr``."""

    home: Path
    """Everything of the embedded stack and of local jobs; private to the user."""
    database_url: str = field(repr=False)
    """An SQLAlchemy URL; SQLite in the home by default."""
    storage_url: str
    """A directory, or ``s3://bucket/prefix``."""
    task_queue: str | None = None
    """None derives one from the database, so that two databases on one Temporal never mix."""
    temporal_configured: bool = False
    """Whether the user named a Temporal of their own; then no server is started."""
    versioning: str = "auto_upgrade"
    """What running jobs do when another build of the workflow code takes over: ``auto_upgrade`` moves them,
    ``pinned`` lets them end on the build that they began on. Pinned where Temporal is shared."""
    max_local_jobs: int = 2
    """How many local jobs run at once; the others wait in the queue."""
    web_port: int | None = None
    """A fixed port for the embedded Web UI; None takes a free one and keeps it."""
    temporal_port: int | None = None
    """A fixed port for the embedded Temporal server; None takes a free one and keeps it."""
    backend: str = "local"
    """Where jobs run that do not say it themselves."""
    image: str | None = None
    """The image of jobs that name none."""
    checkpoint_days: int = 7
    """How long the checkpoints of a job that ended are kept; the monitor removes older ones."""
    notify_webhook: str | None = field(default=None, repr=False)
    """Where the worker posts ``{"text": …}`` when a job ends or a check turns red; a secret."""
    notify_command: str | None = field(default=None, repr=False)
    """What the worker runs then, with the message as JSON on its standard input."""
    encryption_keys: str | None = None
    """The file of the keys that seal what goes through Temporal, or ``none``; None takes that of the home,
    with a configured Temporal none."""
    cluster: ClusterSettings = field(default_factory=ClusterSettings)
    foreign: dict[str, str] = field(default_factory=dict, repr=False, compare=False)
    """Variables for the libraries underneath, from a profile; see `export`."""

    @property
    def notifies(self) -> bool:
        """Whether somebody wants to be told of ends and problems."""
        return bool(self.notify_webhook or self.notify_command)

    @property
    def keys_file(self) -> Path | None:
        """The keys' file; None where nothing is encrypted."""
        if self.encryption_keys is None:
            return None if self.temporal_configured else self.home / "keys.json"
        return None if self.encryption_keys == NO_KEYS else Path(self.encryption_keys)

    def environ(self) -> dict[str, str]:
        """Return the environment variables from which `load_settings` reads these same settings.

        Holds the database's password and the webhook, if there are: for a child process, not for a log.
        """
        values = {
            "MLTEMPORAL_HOME": str(self.home),
            "MLTEMPORAL_DATABASE_URL": self.database_url,
            "MLTEMPORAL_STORAGE_URL": self.storage_url,
            "MLTEMPORAL_TASK_QUEUE": self.task_queue,
            "MLTEMPORAL_TEMPORAL": "configured" if self.temporal_configured else "embedded",
            "MLTEMPORAL_VERSIONING": self.versioning,
            "MLTEMPORAL_MAX_LOCAL_JOBS": self.max_local_jobs,
            "MLTEMPORAL_WEB_PORT": self.web_port,
            "MLTEMPORAL_TEMPORAL_PORT": self.temporal_port,
            "MLTEMPORAL_BACKEND": self.backend,
            "MLTEMPORAL_IMAGE": self.image,
            "MLTEMPORAL_CHECKPOINT_DAYS": self.checkpoint_days,
            "MLTEMPORAL_NOTIFY_WEBHOOK": self.notify_webhook,
            "MLTEMPORAL_NOTIFY_COMMAND": self.notify_command,
            "MLTEMPORAL_ENCRYPTION_KEYS": self.encryption_keys,
            "MLTEMPORAL_KUBERNETES_NAMESPACE": self.cluster.namespace,
            "MLTEMPORAL_KUBERNETES_CONTEXT": self.cluster.context,
            "MLTEMPORAL_KUBERNETES_STORAGE_SECRET": self.cluster.storage_secret,
            "MLTEMPORAL_KUBERNETES_SERVICE_ACCOUNT": self.cluster.service_account,
            "MLTEMPORAL_KUBERNETES_IMAGE_PULL_SECRETS": ",".join(self.cluster.image_pull_secrets) or None,
            "MLTEMPORAL_KUBERNETES_IMAGE_POLICY": self.cluster.image_policy,
        }
        return self.foreign | {name: str(value) for name, value in values.items() if value is not None}

    def export(self) -> None:
        """Give this process's libraries (Temporal's, S3's, Kubernetes') the profile's variables.

        What the environment says itself stays.
        """
        for name, value in self.foreign.items():
            if name not in os.environ:
                os.environ[name] = _exported[name] = value


def own_environment() -> dict[str, str]:
    """Return this process's environment without what a profile has put into it."""
    return {name: value for name, value in os.environ.items() if _exported.get(name) != value}


def withdraw_exports() -> None:
    """Take out of this process's environment what a profile has put into it."""
    for name in set(os.environ) - set(own_environment()):
        del os.environ[name]
    _exported.clear()


def load_settings(environ: dict[str, str] | None = None) -> Settings:
    """Read the settings from ``environ`` (by default the process's own), beneath it from a profile.

    ======================================  ============================================================
    ``MLTEMPORAL_HOME``                     the embedded stack's and local jobs' directory; of a profile
                                            the folder ``profiles/<name>`` in it
    ``MLTEMPORAL_DATABASE_URL``             an SQLAlchemy URL; by default a file in the home
    ``MLTEMPORAL_STORAGE_URL``              a directory, or ``s3://bucket/prefix``
    ``MLTEMPORAL_TEMPORAL``                 ``embedded`` or ``configured``, in spite of the next line
    ``TEMPORAL_ADDRESS`` …                  Temporal's own: ``_PROFILE``, ``_CONFIG_FILE``, ``_NAMESPACE`` …
    ``MLTEMPORAL_TASK_QUEUE``               by default one for each database
    ``MLTEMPORAL_VERSIONING``               ``auto_upgrade`` or ``pinned``, see `Settings.versioning`
    ``MLTEMPORAL_MAX_LOCAL_JOBS``           how many local jobs run at once
    ``MLTEMPORAL_WEB_PORT``                 of the embedded Web UI
    ``MLTEMPORAL_TEMPORAL_PORT``            of the embedded server
    ``MLTEMPORAL_BACKEND``                  ``local`` or ``kubernetes``
    ``MLTEMPORAL_IMAGE``                    of jobs that name none
    ``MLTEMPORAL_CHECKPOINT_DAYS``          how long those of ended jobs are kept, where a monitor runs
    ``MLTEMPORAL_NOTIFY_WEBHOOK``           gets ``{"text": …}`` when a job ends or a check turns red
    ``MLTEMPORAL_NOTIFY_COMMAND``           is run by the worker then, the message on standard input
    ``MLTEMPORAL_ENCRYPTION_KEYS``          a file of keys, or ``none``; by default ``keys.json`` in the
                                            home for the embedded server, ``none`` for another
    ``MLTEMPORAL_KUBERNETES_NAMESPACE`` …   ``_CONTEXT``, ``_STORAGE_SECRET``, ``_SERVICE_ACCOUNT``,
                                            ``_IMAGE_PULL_SECRETS`` (with commas), ``_IMAGE_POLICY``
    ``MLTEMPORAL_PROFILE``                  a profile, see `profiles`
    ``MLTEMPORAL_CONFIG_FILE``              where the profiles are
    ======================================  ============================================================

    Raises:
        InvalidRequest: a value is not what it should be, e.g. a port out of range.
    """
    given = own_environment() if environ is None else environ
    values, foreign = profile_environment(given, _VARIABLES)
    env = {**foreign, **values, **given}
    home = Path(_absolute(env.get("MLTEMPORAL_HOME") or platformdirs.user_data_dir("mltemporal")))
    if (profile := given.get(PROFILE_VARIABLE)) and "MLTEMPORAL_HOME" not in values:
        home = home / "profiles" / profile  # its services run beside those of the others
    return Settings(
        home=home,
        database_url=_absolute_database(
            env.get("MLTEMPORAL_DATABASE_URL") or f"sqlite:///{home / 'mltemporal.db'}"
        ),
        storage_url=_absolute(env.get("MLTEMPORAL_STORAGE_URL") or str(home / "storage")),
        task_queue=env.get("MLTEMPORAL_TASK_QUEUE") or None,
        temporal_configured=(configured := _temporal_configured(env)),
        versioning=_one_of(env, "MLTEMPORAL_VERSIONING", VERSIONINGS[::-1] if configured else VERSIONINGS),
        max_local_jobs=_number(env, "MLTEMPORAL_MAX_LOCAL_JOBS", 1, 1024) or _default_local_jobs(),
        web_port=_number(env, "MLTEMPORAL_WEB_PORT", 1, 65_535),
        temporal_port=_number(env, "MLTEMPORAL_TEMPORAL_PORT", 1, 65_535),
        backend=_one_of(env, "MLTEMPORAL_BACKEND", BACKENDS),
        image=env.get("MLTEMPORAL_IMAGE") or None,
        checkpoint_days=_number(env, "MLTEMPORAL_CHECKPOINT_DAYS", 1, 36_500) or Settings.checkpoint_days,
        notify_webhook=_webhook(env),
        notify_command=_command(env),
        encryption_keys=_keys(env),
        cluster=ClusterSettings(
            namespace=env.get("MLTEMPORAL_KUBERNETES_NAMESPACE") or None,
            context=env.get("MLTEMPORAL_KUBERNETES_CONTEXT") or None,
            storage_secret=env.get("MLTEMPORAL_KUBERNETES_STORAGE_SECRET") or None,
            service_account=env.get("MLTEMPORAL_KUBERNETES_SERVICE_ACCOUNT") or None,
            image_pull_secrets=tuple(
                filter(None, env.get("MLTEMPORAL_KUBERNETES_IMAGE_PULL_SECRETS", "").split(","))
            ),
            image_policy=_one_of(env, "MLTEMPORAL_KUBERNETES_IMAGE_POLICY", IMAGE_POLICIES),
        ),
        foreign={name: value for name, value in foreign.items() if name not in given},
    )


def process_settings() -> Settings:
    """Read this process's settings and `export` them: what a program does that acts on them itself."""
    settings = load_settings()
    settings.export()
    return settings


def _temporal_configured(env: dict[str, str]) -> bool:
    """Whether Temporal's own configuration names an address (its default profile counts)."""
    if choice := env.get("MLTEMPORAL_TEMPORAL"):
        if choice not in ("embedded", "configured"):
            raise InvalidRequest(
                f"MLTEMPORAL_TEMPORAL={choice!r} is neither 'embedded' nor 'configured'",
                "unset it to use TEMPORAL_ADDRESS or temporal.toml where there is one",
            )
        return choice == "configured"
    if any(env.get(name) for name in ("TEMPORAL_ADDRESS", "TEMPORAL_PROFILE", "TEMPORAL_CONFIG_FILE")):
        return True
    return (platformdirs.user_config_path("temporalio") / "temporal.toml").exists()


def _absolute(path_or_url: str) -> str:
    """Make a path mean the same in every process, wherever it runs."""
    return path_or_url if "://" in path_or_url else str(Path(os.path.expanduser(path_or_url)).absolute())


def _keys(env: dict[str, str]) -> str | None:
    path = env.get("MLTEMPORAL_ENCRYPTION_KEYS")
    if not path:
        return None
    return path if path == NO_KEYS else _absolute(path)


def _absolute_database(url: str) -> str:
    start = "sqlite:///"
    is_file = url.startswith(start) and ":memory:" not in url
    return start + _absolute(url.removeprefix(start)) if is_file else url


def _default_local_jobs() -> int:
    return max(2, (os.cpu_count() or 2) // 2)


def _number(env: dict[str, str], name: str, low: int, high: int) -> int | None:
    text = env.get(name)
    if not text:
        return None
    if text.isdecimal() and low <= int(text) <= high:
        return int(text)
    raise InvalidRequest(
        f"{name}={text!r} is not a whole number from {low} to {high}",
        f"set {name} to such a number, or unset it for the default",
    )


def _webhook(env: dict[str, str]) -> str | None:
    url = env.get("MLTEMPORAL_NOTIFY_WEBHOOK")
    if not url:
        return None
    if not re.fullmatch(r"https?://[^\s/]+[!-~]*", url):  # and the text does not repeat it: it is a secret
        raise InvalidRequest(
            "MLTEMPORAL_NOTIFY_WEBHOOK is no URL of a web server", "set it to https://…, or unset it"
        )
    return url


def _command(env: dict[str, str]) -> str | None:
    command = env.get("MLTEMPORAL_NOTIFY_COMMAND")
    if not command:
        return None
    try:
        words = shlex.split(command)
    except ValueError:
        words = []
    if not words:
        raise InvalidRequest(
            "MLTEMPORAL_NOTIFY_COMMAND is no command", "write it as in a shell, with its quotes in pairs"
        )
    return command


def _one_of(env: dict[str, str], name: str, allowed: tuple[str, ...]) -> str:
    value = env.get(name) or allowed[0]
    if value not in allowed:
        raise InvalidRequest(f"{name}={value!r} is none", f"use one of {', '.join(allowed)}")
    return value


_VARIABLES = frozenset(
    [
        "MLTEMPORAL_HOME",
        "MLTEMPORAL_DATABASE_URL",
        "MLTEMPORAL_STORAGE_URL",
        "MLTEMPORAL_TASK_QUEUE",
        "MLTEMPORAL_TEMPORAL",
        "MLTEMPORAL_VERSIONING",
        "MLTEMPORAL_MAX_LOCAL_JOBS",
        "MLTEMPORAL_WEB_PORT",
        "MLTEMPORAL_TEMPORAL_PORT",
        "MLTEMPORAL_BACKEND",
        "MLTEMPORAL_IMAGE",
        "MLTEMPORAL_CHECKPOINT_DAYS",
        "MLTEMPORAL_NOTIFY_WEBHOOK",
        "MLTEMPORAL_NOTIFY_COMMAND",
        "MLTEMPORAL_ENCRYPTION_KEYS",
        "MLTEMPORAL_KUBERNETES_NAMESPACE",
        "MLTEMPORAL_KUBERNETES_CONTEXT",
        "MLTEMPORAL_KUBERNETES_STORAGE_SECRET",
        "MLTEMPORAL_KUBERNETES_SERVICE_ACCOUNT",
        "MLTEMPORAL_KUBERNETES_IMAGE_PULL_SECRETS",
        "MLTEMPORAL_KUBERNETES_IMAGE_POLICY",
    ]
)
"""What a profile may set; a test compares it with `Settings.environ`."""
