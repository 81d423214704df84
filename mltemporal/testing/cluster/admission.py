"""From a request's body to an object that may be stored: defaults, validation, admission."""

from __future__ import annotations

from collections.abc import Iterator

from mltemporal.testing.cluster import (
    decoding,
    defaults,
    job_rules,
    pod_security,
    quotas,
    statuses,
    validation,
)
from mltemporal.testing.cluster.resources import RESOURCES
from mltemporal.testing.cluster.statuses import FieldError, forbidden_field, required
from mltemporal.testing.cluster.store import Object, Store, copied, with_identity

_BUILT_IN_PRIORITIES = {"system-cluster-critical": 2000000000, "system-node-critical": 2000001000}


def create(store: Store, resource: str, namespace: str, body: Object, *, dry_run: bool = False) -> Object:
    """Check and store a new object.

    Raises:
        ApiError: 400 (cannot be read), 403 (quota, Pod Security …), 404 (namespace), 409, 422.
    """
    kind = RESOURCES[resource]
    decoding.check_types(kind, body)
    body = copied(body)
    body.update(kind=kind.kind, apiVersion=kind.api_version)
    meta = body.setdefault("metadata", {})
    _place(store, resource, namespace, meta)
    meta.pop("resourceVersion", None)
    if not meta.get("name") and not meta.get("generateName"):
        raise statuses.invalid(kind, "", [required("metadata.name", "name or generateName is required")])
    body = with_identity(resource, body)
    defaults.fill_in(resource, body)
    name = body["metadata"]["name"]
    errors = list(_errors(resource, body))
    if errors:
        raise statuses.invalid(kind, name, errors)
    if store.find(resource, namespace, name) is not None:
        raise statuses.already_exists(kind, name)
    if resource == "pods":
        _admit_pod(store, body)
    if resource in ("pods", "jobs"):
        quotas.admit(store, resource, body)
    if dry_run:
        return body
    stored = store.insert(resource, body)
    if resource == "namespaces":  # the service account controller's work
        create(store, "serviceaccounts", name, {"metadata": {"name": "default"}})
    return stored


def _place(store: Store, resource: str, namespace: str, meta: Object) -> None:
    if not RESOURCES[resource].namespaced:
        meta.pop("namespace", None)
        return
    if meta.setdefault("namespace", namespace) != namespace:
        raise statuses.bad_request(
            "the namespace of the provided object does not match the namespace sent on the request"
        )
    found = store.get("namespaces", "", namespace)
    if found["metadata"].get("deletionTimestamp"):
        why = f"unable to create new content in namespace {namespace} because it is being terminated"
        raise statuses.forbidden(RESOURCES[resource], meta.get("name", ""), why)


def _errors(resource: str, body: Object) -> Iterator[FieldError]:
    yield from validation.metadata(resource, body)
    if resource == "pods":
        yield from validation.pod_spec("spec", body["spec"])
    elif resource == "jobs":
        yield from job_rules.created(body)


def _admit_pod(store: Store, pod: Object) -> None:
    meta, spec = pod["metadata"], pod["spec"]
    kind, name, namespace = RESOURCES["pods"], meta["name"], meta["namespace"]
    account = spec["serviceAccountName"]
    if store.find("serviceaccounts", namespace, account) is None:
        why = f'error looking up service account {namespace}/{account}: serviceaccount "{account}" not found'
        raise statuses.forbidden(kind, name, why)
    priority = spec.get("priorityClassName")
    if priority:
        found = store.find("priorityclasses", "", priority)
        if found is None and priority not in _BUILT_IN_PRIORITIES:
            raise statuses.forbidden(kind, name, f"no PriorityClass with name {priority} was found")
        spec["priority"] = found["value"] if found else _BUILT_IN_PRIORITIES[priority]
    labels = store.get("namespaces", "", namespace)["metadata"].get("labels") or {}
    level = labels.get("pod-security.kubernetes.io/enforce", "privileged")
    version = labels.get("pod-security.kubernetes.io/enforce-version", "latest")
    broken = pod_security.violations(level, spec)
    if broken:
        why = f'violates PodSecurity "{level}:{version}": {", ".join(broken)}'
        raise statuses.forbidden(kind, name, why)


def update(
    store: Store, resource: str, old: Object, new: Object, *, status: bool, dry_run: bool = False
) -> Object:
    """Check and store a changed object; ``status`` tells which half of it may change.

    Raises:
        ApiError: 400, 409 (the revision in ``new`` is not the present one), 422 (an immutable field).
    """
    kind, name = RESOURCES[resource], old["metadata"]["name"]
    decoding.check_types(kind, new)
    new = copied(new)
    new.update(kind=kind.kind, apiVersion=kind.api_version)
    meta, before = new.setdefault("metadata", {}), old["metadata"]
    if meta.get("name", name) != name:
        raise statuses.bad_request(
            f"the name of the object ({meta['name']}) does not match the name on the URL ({name})"
        )
    if meta.get("resourceVersion") and meta["resourceVersion"] != before["resourceVersion"]:
        raise statuses.conflict(kind, name)
    if meta.get("uid") and meta["uid"] != before["uid"]:
        why = f"Precondition failed: UID in precondition: {meta['uid']}, UID in object meta: {before['uid']}"
        raise statuses.conflict(kind, name, why)
    meta.pop("managedFields", None)
    for field in (
        "uid", "name", "namespace", "creationTimestamp", "resourceVersion", "generation",
        "deletionTimestamp", "deletionGracePeriodSeconds", "generateName",
    ):  # fmt: skip
        meta.pop(field, None)
        if field in before:
            meta[field] = before[field]
    if status:
        new = {**copied(old), "status": new.get("status", {})}
    elif "status" in old:
        new["status"] = old["status"]
    if not status:
        _check_change(resource, old, new)
    return new if dry_run else store.replace(resource, old, new)


def _check_change(resource: str, old: Object, new: Object) -> None:
    errors = list(validation.metadata(resource, new))
    if resource == "jobs":
        defaults.pod_spec(new["spec"]["template"]["spec"])
        errors += job_rules.changed(old, new)
    elif resource == "pods":
        errors += _pod_changed(old["spec"], new.get("spec", {}))
    elif resource == "secrets":
        defaults.fill_in("secrets", new)
        if old.get("immutable") and old.get("data") != new.get("data"):
            errors.append(forbidden_field("data", "field is immutable when `immutable` is set"))
    if errors:
        raise statuses.invalid(RESOURCES[resource], old["metadata"]["name"], errors)


def _pod_changed(old: Object, new: Object) -> Iterator[FieldError]:
    def fixed(spec: Object) -> Object:
        rest = {
            key: value for key, value in spec.items() if key not in ("activeDeadlineSeconds", "tolerations")
        }
        for kind in ("containers", "initContainers"):
            rest[kind] = [{**container, "image": ""} for container in spec.get(kind) or ()]
        return rest

    if fixed(old) != fixed(new):
        fields = "`spec.containers[*].image`,`spec.initContainers[*].image`,`spec.activeDeadlineSeconds`"
        more = (
            "`spec.tolerations` (only additions to existing tolerations),`spec.terminationGracePeriodSeconds`"
        )
        detail = f"pod updates may not change fields other than {fields},{more}"
        yield forbidden_field("spec", detail)
