"""The environment and the command line of a container."""

from __future__ import annotations

import math
import os
import re
from collections.abc import Callable
from typing import Any

from mltemporal.testing.cluster import quantities
from mltemporal.testing.cluster.store import Object, Store
from mltemporal.testing.cluster.volumes import contents

_REFERENCE = re.compile(r"\$\$|\$\(([-._a-zA-Z][-._a-zA-Z0-9]*)\)")


class ConfigError(Exception):
    """``CreateContainerConfigError``; the text is the kubelet's."""


def resolve(store: Store, pod: Object, container: Object) -> dict[str, str]:
    """Return the variables that the pod's spec gives the container.

    Raises:
        ConfigError: a Secret, a ConfigMap or a key in it is missing and not optional.
    """
    env: dict[str, str] = {}
    for source in container.get("envFrom") or ():
        for field, resource in (("secretRef", "secrets"), ("configMapRef", "configmaps")):
            if field in source:
                for key, raw in _values(store, pod, resource, source[field]).items():
                    env[source.get("prefix", "") + key] = raw.decode(errors="replace")
    for variable in container.get("env") or ():
        if variable.get("valueFrom"):
            value = _from(store, pod, container, variable["valueFrom"])
            if value is not None:
                env[variable["name"]] = value
        else:
            env[variable["name"]] = expand(variable.get("value", ""), env)
    return env


def expand(text: str, env: dict[str, str]) -> str:
    """Replace ``$(NAME)``; unknown names stay, ``$$`` is a dollar."""
    return _REFERENCE.sub(lambda found: "$" if found[0] == "$$" else env.get(found[1], found[0]), text)


def _values(store: Store, pod: Object, resource: str, wanted: dict[str, Any]) -> dict[str, bytes]:
    found = store.find(resource, pod["metadata"]["namespace"], wanted["name"])
    if found is not None:
        return contents(resource, found)
    if wanted.get("optional"):
        return {}
    kind = "secret" if resource == "secrets" else "configmap"
    raise ConfigError(f'{kind} "{wanted["name"]}" not found')


def _from(store: Store, pod: Object, container: Object, source: dict[str, Any]) -> str | None:
    for field, resource, kind in (
        ("secretKeyRef", "secrets", "Secret"),
        ("configMapKeyRef", "configmaps", "ConfigMap"),
    ):
        if field in source:
            wanted = source[field]
            values = _values(store, pod, resource, wanted)
            if wanted["key"] in values:
                return values[wanted["key"]].decode(errors="replace")
            if wanted.get("optional"):
                return None
            place = f"{pod['metadata']['namespace']}/{wanted['name']}"
            raise ConfigError(f"couldn't find key {wanted['key']} in {kind} {place}")
    if "fieldRef" in source:
        return _field(pod, source["fieldRef"]["fieldPath"])
    return _resource(container, source["resourceFieldRef"])


def _field(pod: Object, path: str) -> str:
    found = re.fullmatch(r"metadata\.(labels|annotations)\['(.+)'\]", path)
    if found:
        return str((pod["metadata"].get(found[1]) or {}).get(found[2], ""))
    here: Any = pod
    for part in path.split("."):
        here = here.get(part) if isinstance(here, dict) else None
    return "" if here is None else str(here)


def _resource(container: Object, wanted: dict[str, Any]) -> str:
    kind, _, name = wanted["resource"].partition(".")
    amounts = (container.get("resources") or {}).get(kind) or {}
    if name not in amounts:
        return str(os.cpu_count() or 1) if name == "cpu" else "0"
    divisor = wanted.get("divisor") or "1"
    return str(math.ceil(quantities.parse(amounts[name]) / (quantities.parse(divisor) or 1)))


def command_line(container: Object, env: dict[str, str], entrypoint: tuple[str, ...]) -> list[str]:
    """Return what the container runs: its command, or its image's, and its arguments."""
    words = [expand(word, env) for word in container.get("command") or entrypoint]
    return words + [expand(word, env) for word in container.get("args") or ()]


def host_names(store: Store, namespace: str) -> Callable[[str], str]:
    """Return what replaces the names of pods that have a subdomain by 127.0.0.1.

    Their headless Service may come a moment later: a process is started once, DNS would be asked again.
    """
    subdomains = {pod["spec"].get("subdomain") for pod in store.all("pods", namespace)}
    domains = sorted(re.escape(subdomain) for subdomain in subdomains if subdomain)
    if not domains:
        return lambda text: text
    tail = rf"(?:\.{re.escape(namespace)}(?:\.svc(?:\.cluster\.local)?)?)?"
    pattern = re.compile(rf"(?<![\w.-])[a-z0-9][-a-z0-9]*\.(?:{'|'.join(domains)}){tail}(?![\w-]|\.\w)")
    return lambda text: pattern.sub("127.0.0.1", text)
