"""Which services this process uses: ``connect``, ``status``, ``shutdown``."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

from mltemporal import session
from mltemporal.errors import InvalidRequest

if TYPE_CHECKING:
    from mltemporal.stack import StackStatus


def connect(profile: str | None = None, *, home: str | None = None) -> StackStatus:
    """Use the services that the environment, a profile or a home names; returns their status.

    Args:
        profile: a profile of ``config.toml`` (see `mltemporal.profiles`), else of Temporal's own
            ``temporal.toml``.
        home: the home directory of an embedded stack.

    Raises:
        InvalidRequest: there is no such profile, or something in it is wrong; the session stays as it was.
        StackError, ServiceUnavailable: its services do not answer.
    """
    from mltemporal.profiles import PROFILE_VARIABLE, profile_names
    from mltemporal.settings import load_settings, own_environment, withdraw_exports

    environ = own_environment()  # a profile leaves nothing to the next one
    changes = {"MLTEMPORAL_HOME": home}
    if profile is not None:
        ours = profile in profile_names(environ)
        if not ours:
            _check_temporal_profile(profile)
            environ.pop(PROFILE_VARIABLE, None)
        changes[PROFILE_VARIABLE if ours else "TEMPORAL_PROFILE"] = profile
    given = {name: value for name, value in changes.items() if value is not None}
    settings = load_settings({**environ, **given})
    withdraw_exports()
    if profile is not None:
        os.environ.pop(PROFILE_VARIABLE, None)
    # Temporal's own client, and the services started from here, read the environment themselves.
    os.environ.update(given)
    session.replace(settings)
    session.current().ready()
    return status()


def _check_temporal_profile(name: str) -> None:
    """Refuse a profile that Temporal's own configuration does not have either."""
    from temporalio.envconfig import ClientConfig

    from mltemporal.profiles import config_file, profile_names

    try:
        found = sorted(ClientConfig.load().profiles)
    except (RuntimeError, ValueError, OSError):
        found = []
    if name not in found:
        known = ", ".join([*profile_names(os.environ), *found]) or "none"
        raise InvalidRequest(
            f"there is no profile {name!r}",
            f"write [profile.{name}] into {str(config_file(os.environ))!r}; there are: {known}",
        )


def status() -> StackStatus:
    """Return where everything is, without secrets."""
    from mltemporal import stack

    return stack.status(session.current().settings)


def shutdown() -> bool:
    """Stop the embedded services; running trainings go on, and are followed again after the next start.

    Returns whether anything was running.
    """
    from mltemporal import stack

    here = session.current()
    stopped: bool = stack.down(here.settings)
    session.replace(None)
    return stopped
