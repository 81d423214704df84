"""The answers of the API server that are no success: ``Status`` objects with the real server's words."""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from typing import Any

from mltemporal.testing.cluster.resources import Resource


@dataclass
class ApiError(Exception):
    """An HTTP status other than 2xx and the ``Status`` object that goes with it."""

    code: int
    reason: str
    message: str
    details: dict[str, Any] = field(default_factory=dict)
    retry_after_s: int | None = None

    def body(self) -> dict[str, Any]:
        """Return the ``Status`` object."""
        details = dict(self.details)
        if self.retry_after_s is not None:
            details["retryAfterSeconds"] = self.retry_after_s
        return {
            "kind": "Status",
            "apiVersion": "v1",
            "metadata": {},
            "status": "Failure",
            "message": self.message,
            "reason": self.reason,
            **({"details": details} if details else {}),
            "code": self.code,
        }


@dataclass(frozen=True)
class FieldError:
    """One field that validation refused."""

    reason: str
    field: str
    text: str

    def __str__(self) -> str:
        return f"{self.field}: {self.text}"


def _shown(value: object) -> str:
    return json.dumps(value, separators=(",", ":"), ensure_ascii=False)


def invalid_value(path: str, value: object, detail: str) -> FieldError:
    """The value breaks a rule."""
    return FieldError("FieldValueInvalid", path, f"Invalid value: {_shown(value)}: {detail}")


def required(path: str, detail: str = "") -> FieldError:
    """The value is missing."""
    return FieldError("FieldValueRequired", path, "Required value" + (f": {detail}" if detail else ""))


def unsupported(path: str, value: object, *supported: str) -> FieldError:
    """The value is none of the possible ones."""
    known = ", ".join(_shown(one) for one in supported)
    return FieldError(
        "FieldValueNotSupported", path, f"Unsupported value: {_shown(value)}: supported values: {known}"
    )


def not_listed(path: str, value: object) -> FieldError:
    """The value refers to something that is not there."""
    return FieldError("FieldValueNotFound", path, f"Not found: {_shown(value)}")


def duplicate(path: str, value: object) -> FieldError:
    """The value must be unique and is not."""
    return FieldError("FieldValueDuplicate", path, f"Duplicate value: {_shown(value)}")


def forbidden_field(path: str, detail: str) -> FieldError:
    """The field may not be set (so)."""
    return FieldError("FieldValueForbidden", path, f"Forbidden: {detail}")


def invalid(resource: Resource, name: str, errors: list[FieldError]) -> ApiError:
    """422: validation refused these fields."""
    texts = [str(error) for error in errors]
    shown = texts[0] if len(texts) == 1 else f"[{', '.join(texts)}]"
    kind = f"{resource.kind}.{resource.group}" if resource.group else resource.kind
    causes = [{"reason": error.reason, "message": error.text, "field": error.field} for error in errors]
    details = {**_details(resource, name), "kind": resource.kind, "causes": causes}
    return ApiError(422, "Invalid", f'{kind} "{name}" is invalid: {shown}', details)


def _details(resource: Resource, name: str) -> dict[str, Any]:
    group = {"group": resource.group} if resource.group else {}
    return {**({"name": name} if name else {}), **group, "kind": resource.plural}


def bad_request(message: str) -> ApiError:
    """400: the request cannot be understood."""
    return ApiError(400, "BadRequest", message)


def unauthorized() -> ApiError:
    """401: no or a wrong token."""
    return ApiError(401, "Unauthorized", "Unauthorized")


def forbidden(resource: Resource, name: str, why: str) -> ApiError:
    """403: admission or authorization says no."""
    quoted = f' "{name}"' if name else ""
    return ApiError(
        403, "Forbidden", f"{resource.qualified}{quoted} is forbidden: {why}", _details(resource, name)
    )


def not_found(resource: Resource, name: str) -> ApiError:
    """404: no object of that name."""
    return ApiError(404, "NotFound", f'{resource.qualified} "{name}" not found', _details(resource, name))


def no_such_path() -> ApiError:
    """404: no such resource type."""
    return ApiError(404, "NotFound", "the server could not find the requested resource")


def already_exists(resource: Resource, name: str) -> ApiError:
    """409: the name is taken."""
    message = f'{resource.qualified} "{name}" already exists'
    return ApiError(409, "AlreadyExists", message, _details(resource, name))


def conflict(resource: Resource, name: str, why: str = "") -> ApiError:
    """409: somebody else changed the object in between, or a precondition does not hold."""
    why = why or (
        "the object has been modified; please apply your changes to the latest version and try again"
    )
    message = f'Operation cannot be fulfilled on {resource.qualified} "{name}": {why}'
    return ApiError(409, "Conflict", message, _details(resource, name))


def gone(message: str) -> ApiError:
    """410: the revision asked for was compacted."""
    return ApiError(410, "Expired", message)


_INJECTED = {
    429: ("TooManyRequests", "the server has received too many requests and has asked us to try again later"),
    500: ("InternalError", "Internal error occurred: etcdserver: request timed out"),
    503: ("ServiceUnavailable", "the server is currently unable to handle the request"),
    504: ("Timeout", "Timeout: request did not complete within the allotted timeout"),
}


def injected(code: int) -> ApiError:
    """A fault on demand; 429 and 503 come with a time to wait."""
    reason, message = _INJECTED.get(code, ("InternalError", f"injected status {code}"))
    return ApiError(code, reason, message, retry_after_s=1 if code in (429, 503) else None)
