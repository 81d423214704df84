"""What the API server refuses of a Job, when it is created and when it is changed."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from mltemporal.testing.cluster import validation
from mltemporal.testing.cluster.statuses import FieldError, invalid_value, required, unsupported
from mltemporal.testing.cluster.store import Object, copied

_NUMBERS = ("parallelism", "completions", "activeDeadlineSeconds", "backoffLimit", "ttlSecondsAfterFinished")
_IMMUTABLE = (
    "completions",
    "selector",
    "completionMode",
    "podFailurePolicy",
    "backoffLimitPerIndex",
    "managedBy",
)
_SCHEDULING = ("nodeSelector", "tolerations", "affinity", "schedulingGates")


def created(job: Object) -> Iterator[FieldError]:
    """Check a new Job, defaults set."""
    spec = job["spec"]
    pod = spec["template"]["spec"]
    yield from validation.at_least_zero("spec", spec, *_NUMBERS)
    if spec["completionMode"] not in ("NonIndexed", "Indexed"):
        yield unsupported("spec.completionMode", spec["completionMode"], "Indexed", "NonIndexed")
    if spec["completionMode"] == "Indexed":
        yield from _indexed(job)
    yield from validation.labels("spec.template", spec["template"].get("metadata") or {})
    yield from validation.pod_spec("spec.template.spec", pod)
    if spec.get("podFailurePolicy"):
        yield from _failure_policy("spec.podFailurePolicy", spec["podFailurePolicy"], pod)
    if pod["restartPolicy"] == "Always":
        yield required("spec.template.spec.restartPolicy", 'valid values: "OnFailure", "Never"')
    elif spec.get("podFailurePolicy") and pod["restartPolicy"] != "Never":
        detail = 'only "Never" is supported when podFailurePolicy is specified'
        yield invalid_value("spec.template.spec.restartPolicy", pod["restartPolicy"], detail)


def _indexed(job: Object) -> Iterator[FieldError]:
    completions = job["spec"].get("completions")
    if completions is None:
        yield required("spec.completions", "when completion mode is Indexed")
        return
    host = f"{job['metadata']['name']}-{max(completions - 1, 0)}"
    for error in validation.metadata("namespaces", {"metadata": {"name": host}}):  # a DNS label, like those
        detail = f"will not able to create pod with invalid DNS label: {host}"
        yield FieldError(
            error.reason, "metadata.name", f'Invalid value: "{job["metadata"]["name"]}": {detail}'
        )


def _failure_policy(path: str, policy: Object, pod: Object) -> Iterator[FieldError]:
    names = [one["name"] for one in [*pod["containers"], *(pod.get("initContainers") or ())]]
    for index, rule in enumerate(policy.get("rules") or ()):
        place = f"{path}.rules[{index}]"
        actions = ("Count", "FailIndex", "FailJob", "Ignore")
        if rule.get("action") not in actions:
            yield unsupported(f"{place}.action", rule.get("action", ""), *actions)
        codes = rule.get("onExitCodes")
        if bool(codes) is bool(rule.get("onPodConditions")):
            detail = "exactly one of onExitCodes and onPodConditions is required"
            yield invalid_value(place, rule, detail)
        elif codes:
            if codes.get("operator") not in ("In", "NotIn"):
                yield unsupported(f"{place}.onExitCodes.operator", codes.get("operator", ""), "In", "NotIn")
            if codes.get("operator") == "In" and 0 in codes.get("values", ()):
                yield invalid_value(f"{place}.onExitCodes.values[0]", 0, "must not be 0 for the In operator")
            name = codes.get("containerName")
            if name is not None and name not in names:
                detail = "must be one of the container or initContainer names in the pod template"
                yield invalid_value(f"{place}.onExitCodes.containerName", name, detail)


def changed(old: Object, new: Object) -> Iterator[FieldError]:
    """Check the change of a Job: most of its spec may not change."""
    before, after = old["spec"], new["spec"]
    yield from validation.at_least_zero("spec", after, *_NUMBERS)
    for field in _IMMUTABLE:
        if before.get(field) != after.get(field) and not (field == "completions" and _elastic(after)):
            yield invalid_value(f"spec.{field}", after.get(field), "field is immutable")
    if _fixed_part(before, old) != _fixed_part(after, old):
        yield invalid_value("spec.template", after["template"], "field is immutable")


def _elastic(after: Object) -> bool:
    return after.get("completionMode") == "Indexed" and after.get("completions") == after.get("parallelism")


def _fixed_part(spec: Object, old: Object) -> Any:
    """Return the template; without what says where pods go as long as the Job has not started."""
    template = copied(spec["template"])
    if old["spec"].get("suspend") and not old.get("status", {}).get("startTime"):
        for field in _SCHEDULING:
            template["spec"].pop(field, None)
        for field in ("labels", "annotations"):
            template.get("metadata", {}).pop(field, None)
    return template
