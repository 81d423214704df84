"""Named sets of settings in a TOML file: ``connect(profile="team")``, ``MLTEMPORAL_PROFILE=team``.

``config.toml`` in the user's configuration directory for mltemporal (``MLTEMPORAL_CONFIG_FILE``
names another)::

    [profile.team]
    database_url = "postgresql://ml@db.example/ml"
    storage_url = "s3://team-ml/jobs"
    backend = "kubernetes"
    image = "registry.example/ml:1.4"

    [profile.team.kubernetes]
    namespace = "ml"

    [profile.team.env]
    TEMPORAL_PROFILE = "team"
    AWS_PROFILE = "team"

A key is a variable ``MLTEMPORAL_…`` in lower case, those of the cluster in a table of their own;
``env`` holds variables for the libraries underneath. What the environment says itself wins.
"""

from __future__ import annotations

import difflib
import os
import re
import tomllib
from collections.abc import Collection, Mapping
from pathlib import Path
from typing import Any

import platformdirs

from mltemporal.errors import InvalidRequest

PROFILE_VARIABLE = "MLTEMPORAL_PROFILE"
FILE_VARIABLE = "MLTEMPORAL_CONFIG_FILE"
_NAME = re.compile(r"[A-Za-z0-9_-]{1,63}")
FOREIGN = ("AWS_", "FSSPEC_", "KUBECONFIG", "PG", "TEMPORAL_")
"""How names in a profile's ``env`` may begin: variables of the libraries underneath."""


def profile_environment(
    env: Mapping[str, str], known: Collection[str]
) -> tuple[dict[str, str], dict[str, str]]:
    """Return the chosen profile as variables ``MLTEMPORAL_…``, and its ``env``; both empty without one.

    Args:
        env: says which profile and which file.
        known: the variables that there are.

    Raises:
        InvalidRequest: the file cannot be read, there is no such profile, or a key in it is unknown.
    """
    path = config_file(env)
    wanted = env.get(PROFILE_VARIABLE) or ""
    profiles = _profiles(path)
    if not wanted and "default" not in profiles:
        return {}, {}
    name = wanted or "default"
    if name not in profiles:
        raise InvalidRequest(
            f"there is no profile {name!r} in {str(path)!r}",
            f"it has {', '.join(sorted(profiles))}" if profiles else f"add a table [profile.{name}] to it",
        )
    profile = dict(profiles[name])
    foreign = _table(profile.pop("env", {}), f"profile.{name}.env")
    cluster = _table(profile.pop("kubernetes", {}), f"profile.{name}.kubernetes")
    values = {f"MLTEMPORAL_{key.upper()}": _text(value) for key, value in profile.items()}
    values |= {f"MLTEMPORAL_KUBERNETES_{key.upper()}": _text(value) for key, value in cluster.items()}
    for variable in values:
        if variable not in known:
            raise _unknown(variable, name, path, known)
    for variable in foreign:
        if not variable.startswith(FOREIGN):
            raise InvalidRequest(
                f"profile {name!r} sets {variable!r}, which is no library's",
                f"variables in its env begin with {', '.join(FOREIGN)}",
            )
    return values, {variable: _text(value) for variable, value in foreign.items()}


def config_file(env: Mapping[str, str]) -> Path:
    """Return where the profiles are."""
    named = env.get(FILE_VARIABLE)
    return (
        Path(os.path.expanduser(named))
        if named
        else platformdirs.user_config_path("mltemporal") / "config.toml"
    )


def profile_names(env: Mapping[str, str]) -> list[str]:
    """Return the names of the profiles that there are."""
    return sorted(_profiles(config_file(env)))


def _profiles(path: Path) -> dict[str, dict[str, Any]]:
    try:
        found = tomllib.loads(path.read_text())
    except FileNotFoundError:
        return {}
    except (OSError, ValueError) as error:
        raise InvalidRequest(
            f"the profiles in {str(path)!r} cannot be read: {error}", "correct the file"
        ) from error
    profiles = _table(found.get("profile", {}), "profile")
    for name in profiles:
        if not _NAME.fullmatch(name):
            raise InvalidRequest(
                f"{name!r} in {str(path)!r} cannot name a profile", "use letters, digits, '_' and '-'"
            )
    return {name: _table(profile, f"profile.{name}") for name, profile in profiles.items()}


def _table(value: object, name: str) -> dict[str, Any]:
    if not isinstance(value, dict):
        raise InvalidRequest(f"{name} is no table", f"write [{name}] on a line of its own, its keys below")
    return value


def _text(value: object) -> str:
    if isinstance(value, bool):
        return str(value).lower()
    return ",".join(map(str, value)) if isinstance(value, list) else str(value)


def _unknown(variable: str, profile: str, path: Path, known: Collection[str]) -> InvalidRequest:
    near = difflib.get_close_matches(variable, known, n=1)
    words = variable.removeprefix("MLTEMPORAL_").lower()
    meant = near[0].removeprefix("MLTEMPORAL_").lower() if near else ""
    return InvalidRequest(
        f"profile {profile!r} in {str(path)!r} has an unknown key {words!r}",
        f"did you mean {meant!r}?" if meant else "look at mltemporal.settings.load_settings for the keys",
    )
