"""Image names, and what the kubelet says of images it cannot have."""

from __future__ import annotations

import re

_PART = r"[a-z0-9]+(?:(?:\.|_|__|-+)[a-z0-9]+)*"
_DOMAIN = (
    r"(?:[A-Za-z0-9](?:[A-Za-z0-9-]*[A-Za-z0-9])?(?:\.[A-Za-z0-9](?:[A-Za-z0-9-]*[A-Za-z0-9])?)*)(?::[0-9]+)?"
)
_REFERENCE = re.compile(
    rf"^(?:(?P<domain>{_DOMAIN})/)?(?P<path>{_PART}(?:/{_PART})*)"
    r"(?::(?P<tag>[\w][\w.-]{0,127}))?(?:@(?P<digest>[a-z0-9]+:[0-9a-f]{32,}))?$"
)


def normalized(image: str) -> str | None:
    """Return the full name (``docker.io/library/python:3.11``), None for a malformed one."""
    found = _REFERENCE.match(image)
    if found is None:
        return None
    domain, path = found["domain"] or "", found["path"]
    if domain and "." not in domain and ":" not in domain and domain != "localhost":
        if domain != domain.lower():
            return None
        domain, path = "", f"{domain}/{path}"
    if not domain:
        domain, path = "docker.io", path if "/" in path else f"library/{path}"
    if found["digest"]:
        return f"{domain}/{path}@{found['digest']}"
    return f"{domain}/{path}:{found['tag'] or 'latest'}"


def malformed(image: str) -> str:
    """Return the message of ``InvalidImageName``."""
    why = f'couldn\'t parse image name "{image}": invalid reference format'
    return f'Failed to apply default image tag "{image}": {why}'


def not_found(image: str) -> str:
    """Return the message of ``ErrImagePull`` where the registry has no such image."""
    full = normalized(image)
    why = f'failed to resolve reference "{full}": {full}: not found'
    return f'rpc error: code = NotFound desc = failed to pull and unpack image "{full}": {why}'


def back_off(image: str, error: str) -> str:
    """Return the message of ``ImagePullBackOff``."""
    return f'Back-off pulling image "{image}": ErrImagePull: {error}'


def never(image: str) -> str:
    """Return the message of ``ErrImageNeverPull``."""
    return f'Container image "{image}" is not present with pull policy of Never'
