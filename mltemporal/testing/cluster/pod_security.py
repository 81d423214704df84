"""The *restricted* and *baseline* Pod Security Standards, as the admission plugin words them."""

from __future__ import annotations

from typing import Any

from mltemporal.testing.cluster.store import Object

_VOLUMES = {
    "configMap",
    "csi",
    "downwardAPI",
    "emptyDir",
    "ephemeral",
    "persistentVolumeClaim",
    "projected",
    "secret",
}


def violations(level: str, spec: Object) -> list[str]:
    """Return what in a pod's spec breaks the standard ``level``, in the real words."""
    if level not in ("baseline", "restricted"):
        return []
    return [*_baseline(spec), *(_restricted(spec) if level == "restricted" else ())]


def _baseline(spec: Object) -> list[str]:
    found = []
    host = [f"{field}=true" for field in ("hostNetwork", "hostPID", "hostIPC") if spec.get(field)]
    if host:
        found.append(f"host namespaces ({', '.join(host)})")
    paths = [volume["name"] for volume in spec.get("volumes") or () if "hostPath" in volume]
    if paths:
        found.append(f"hostPath volumes ({_volumes(paths)})")
    privileged = [one["name"] for one in _containers(spec) if _context(one).get("privileged")]
    if privileged:
        found.append(f"privileged ({_named(privileged)} must not set securityContext.privileged=true)")
    return found


def _restricted(spec: Object) -> list[str]:
    found = []
    containers = _containers(spec)
    pod = spec.get("securityContext") or {}
    open_ = [one["name"] for one in containers if _context(one).get("allowPrivilegeEscalation") is not False]
    if open_:
        text = "must set securityContext.allowPrivilegeEscalation=false"
        found.append(f"allowPrivilegeEscalation != false ({_named(open_)} {text})")
    able = [
        one["name"]
        for one in containers
        if "ALL" not in (_context(one).get("capabilities") or {}).get("drop", ())
    ]
    if able:
        found.append(
            f'unrestricted capabilities ({_named(able)} must set securityContext.capabilities.drop=["ALL"])'
        )
    kinds = [
        (volume["name"], next((key for key in volume if key != "name"), "emptyDir"))
        for volume in spec.get("volumes") or ()
    ]
    bad = [
        f'volume "{name}" uses restricted volume type "{kind}"'
        for name, kind in kinds
        if kind not in _VOLUMES
    ]
    if bad:
        found.append(f"restricted volume types ({', '.join(bad)})")
    root = [
        one["name"]
        for one in containers
        if _context(one).get("runAsNonRoot", pod.get("runAsNonRoot")) is not True
    ]
    if root:
        found.append(
            f"runAsNonRoot != true (pod or {_named(root)} must set securityContext.runAsNonRoot=true)"
        )
    if pod.get("runAsUser") == 0:
        found.append("runAsUser=0 (pod must not set runAsUser=0)")
    free = [one["name"] for one in containers if _profile(one, pod) not in ("RuntimeDefault", "Localhost")]
    if free:
        text = 'must set securityContext.seccompProfile.type to "RuntimeDefault" or "Localhost"'
        found.append(f"seccompProfile (pod or {_named(free)} {text})")
    return found


def _containers(spec: Object) -> list[Object]:
    return [*(spec.get("initContainers") or ()), *spec["containers"]]


def _context(container: Object) -> dict[str, Any]:
    return container.get("securityContext") or {}


def _profile(container: Object, pod: Object) -> str:
    profile = _context(container).get("seccompProfile") or pod.get("seccompProfile") or {}
    return str(profile.get("type", ""))


def _named(names: list[str]) -> str:
    quoted = ", ".join(f'"{name}"' for name in names)
    return f"container{'s' if len(names) > 1 else ''} {quoted}"


def _volumes(names: list[str]) -> str:
    quoted = ", ".join(f'"{name}"' for name in names)
    return f"volume{'s' if len(names) > 1 else ''} {quoted}"
