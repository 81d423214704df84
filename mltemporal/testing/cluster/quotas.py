"""ResourceQuota: what a namespace may use, what it uses, and the refusal of more."""

from __future__ import annotations

from collections import Counter

from mltemporal.testing.cluster import quantities, statuses
from mltemporal.testing.cluster.resources import RESOURCES
from mltemporal.testing.cluster.store import Entry, Object, Store


def admit(store: Store, resource: str, body: Object) -> None:
    """Refuse a new object that would exceed a quota of its namespace.

    Raises:
        ApiError: 403, in the real words.
    """
    name = body["metadata"].get("name") or body["metadata"].get("generateName", "")
    adds = _usage(resource, body)
    for quota in store.all("resourcequotas", body["metadata"]["namespace"]):
        hard = (quota.get("spec") or {}).get("hard") or {}
        quota_name = quota["metadata"]["name"]
        missing = [key for key in hard if resource == "pods" and _compute(key) and not adds[key]]
        if missing:
            containers = ",".join(one["name"] for one in body["spec"]["containers"])
            why = "; ".join(f"{key} for: {containers}" for key in sorted(missing))
            raise statuses.forbidden(
                RESOURCES[resource], name, f"failed quota: {quota_name}: must specify {why}"
            )
        used = _used(store, quota)
        over = sorted(
            key for key in hard if adds[key] and used[key] + adds[key] > quantities.thousandths(hard[key])
        )
        if over:
            requested = ",".join(f"{key}={_shown(key, adds[key])}" for key in over)
            have = ",".join(f"{key}={_shown(key, used[key])}" for key in over)
            limited = ",".join(f"{key}={hard[key]}" for key in over)
            why = f"exceeded quota: {quota_name}, requested: {requested}, used: {have}, limited: {limited}"
            raise statuses.forbidden(RESOURCES[resource], name, why)


def keep_status(store: Store, entry: Entry) -> None:
    """Write what is used into the status of the namespace's quotas, after a change of what they count."""
    if entry.resource not in ("pods", "jobs", "resourcequotas"):
        return
    for quota in store.all("resourcequotas", entry.object["metadata"].get("namespace", "")):
        hard = (quota.get("spec") or {}).get("hard") or {}
        used = _used(store, quota)
        status = {"hard": hard, "used": {key: _shown(key, used[key]) for key in hard}}

        def write(body: Object, status: Object = status) -> None:
            body["status"] = status

        store.modify("resourcequotas", (quota["metadata"]["namespace"], quota["metadata"]["name"]), write)


def _compute(key: str) -> bool:
    return key in ("cpu", "memory") or (key.startswith(("requests.", "limits.")) and "/" not in key)


def _usage(resource: str, body: Object) -> Counter[str]:
    usage: Counter[str] = Counter({f"count/{RESOURCES[resource].qualified}": 1000})
    if resource == "pods" and body.get("status", {}).get("phase") not in ("Succeeded", "Failed"):
        usage["pods"] = 1000
        for kind in ("requests", "limits"):
            for name, amount in quantities.asked(body["spec"], kind).items():
                usage[f"{kind}.{name}"] = amount
                if kind == "requests":
                    usage[name] = amount
    return usage


def _used(store: Store, quota: Object) -> Counter[str]:
    total: Counter[str] = Counter()
    for resource in ("pods", "jobs"):
        for body in store.all(resource, quota["metadata"]["namespace"]):
            total.update(_usage(resource, body))
    return total


def _shown(key: str, thousandths: int) -> str:
    whole, rest = divmod(thousandths, 1000)
    if rest:
        return f"{thousandths}m"
    if "memory" in key and whole and not whole % 2**20:
        return f"{whole // 2**20}Mi"
    return str(whole)
