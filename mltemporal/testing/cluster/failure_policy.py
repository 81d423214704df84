"""A Job's ``podFailurePolicy``: what a failed pod means for its Job."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from mltemporal.testing.cluster.store import Object


@dataclass(frozen=True)
class Verdict:
    """What the policy says of a failed pod."""

    counts: bool = True
    """Whether it counts against ``backoffLimit``."""
    fails_job: str = ""
    """If not empty: the Job fails at once, with this message."""


def judge(job: Object, pod: Object) -> Verdict:
    """Apply the first rule that matches."""
    policy = job["spec"].get("podFailurePolicy") or {}
    for index, rule in enumerate(policy.get("rules") or ()):
        why = _exit_code(rule, pod) if rule.get("onExitCodes") else _condition(rule, pod)
        if not why:
            continue
        if rule["action"] == "FailJob":
            return Verdict(fails_job=f"{why} matching FailJob rule at index {index}")
        return Verdict(counts=rule["action"] != "Ignore")
    return Verdict()


def _named(pod: Object) -> str:
    return f"{pod['metadata']['namespace']}/{pod['metadata']['name']}"


def _exit_code(rule: dict[str, Any], pod: Object) -> str:
    wanted = rule["onExitCodes"]
    status = pod.get("status", {})
    for one in [*status.get("containerStatuses", ()), *status.get("initContainerStatuses", ())]:
        code = one.get("state", {}).get("terminated", {}).get("exitCode", 0)
        if code == 0 or wanted.get("containerName") not in (None, one["name"]):
            continue
        if (code in wanted["values"]) is (wanted["operator"] == "In"):
            return f"Container {one['name']} for pod {_named(pod)} failed with exit code {code}"
    return ""


def _condition(rule: dict[str, Any], pod: Object) -> str:
    for wanted in rule.get("onPodConditions") or ():
        for one in pod.get("status", {}).get("conditions") or ():
            if one["type"] == wanted["type"] and one["status"] == wanted.get("status", "True"):
                return f"Pod {_named(pod)} has condition {one['type']}"
    return ""
