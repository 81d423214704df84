"""What ``train(dataset, trainer, params=…)`` was given, checked in the kernel and ready to travel."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import msgspec

from mltemporal.code.calls import check_call, name_of, refuse_unknown
from mltemporal.code.container import Container
from mltemporal.code.script import Script, arguments, check_list, script_text
from mltemporal.code.versions import versions_for
from mltemporal.errors import InvalidTrainer
from mltemporal.param_values import sounds_secret
from mltemporal.patterns import check_patterns
from mltemporal.specs.request import TrainerRef
from mltemporal.storage.content import Storage
from mltemporal.words import one_line

BASELINE_PARAMETERS = (
    "max_iter",
    "learning_rate",
    "max_leaf_nodes",
    "max_depth",
    "min_samples_leaf",
    "l2_regularization",
    "max_bins",
    "early_stopping",
    "validation_fraction",
    "n_iter_no_change",
    "tol",
)
"""What ``params`` may hold when no trainer is given: those of scikit-learn's histogram gradient boosting."""

LIMIT_BYTES = 256 << 20

_SHOWN = 200
_LABEL = 100
"""As long as a name that is given to a job may be."""


@dataclass(frozen=True, kw_only=True)
class CapturedCode:
    """Code that passed every check that needs no job; nothing is stored yet."""

    kind: str
    label: str
    payload: bytes | None = field(repr=False)
    format: str
    fingerprint: str
    """Equal when the same cell is run again, in this kernel or another; see `fingerprints`."""
    params: dict[str, str] = field(default_factory=dict)
    command: tuple[str, ...] = ()
    args: tuple[str, ...] = ()
    path: str | None = None
    metric_patterns: dict[str, str] = field(default_factory=dict)
    versions: dict[str, str] = field(default_factory=dict)

    def store(self, storage: Storage) -> TrainerRef:
        """Store the code by content and return its reference. Idempotent.

        Raises:
            ServiceUnavailable: storage does not answer or is full.
        """
        code = None if self.payload is None else storage.put_bytes(self.payload, format=self.format)
        return TrainerRef(
            kind=self.kind,
            label=self.label,
            code=code,
            params=self.params,
            command=self.command,
            args=self.args,
            path=self.path,
            metric_patterns=self.metric_patterns,
            versions=self.versions,
        )


def capture(trainer: object, params: Mapping[str, Any] | None = None) -> CapturedCode:
    """Check a trainer and its parameters and make them ready to travel, without side effects.

    ``trainer`` is None (the baseline), a scikit-learn-compatible estimator (cloned; ``params`` go
    to ``set_params``), a function ``fit(data, **params)``, or a `Script` or `Container` (``params``
    become ``--name=value``). Parameters whose names speak of secrets are masked in what people see.

    Raises:
        InvalidTrainer: it is none of these, a parameter is wrong, or something cannot be shipped:
            names it and says where it is.
    """
    given = dict(params or {})
    shown = {name: _shown(name, value) for name, value in given.items()}
    if trainer is None:
        return _baseline(given, shown)
    if isinstance(trainer, Script):
        return _script(trainer, given, shown)
    if isinstance(trainer, Container):
        return _container(trainer, given, shown)
    if isinstance(trainer, type):
        raise _class_given(trainer)
    if hasattr(trainer, "fit") and hasattr(trainer, "get_params"):
        estimator = _with_params(trainer, given)
        return _pickled("estimator", type(trainer).__name__, estimator, shown)
    if callable(trainer):
        check_call(trainer, given)
        return _pickled("function", name_of(trainer), (trainer, given), shown)
    raise InvalidTrainer(
        f"a {type(trainer).__name__} cannot train",
        "pass a scikit-learn-compatible estimator, a function fit(data, **params), Script('train.py') or "
        "Container('image')",
    )


def _baseline(params: dict[str, Any], shown: dict[str, str]) -> CapturedCode:
    refuse_unknown("the baseline", params, BASELINE_PARAMETERS)
    try:
        payload = msgspec.json.encode(params, order="deterministic")
    except TypeError as error:
        raise InvalidTrainer(
            f"a parameter of the baseline is no plain value: {error}", "pass numbers, text or booleans"
        ) from error
    return CapturedCode(
        kind="baseline",
        label="baseline",
        payload=payload if params else None,
        format="json",
        fingerprint=_digest(b"baseline", payload),
        params=shown,
    )


def _script(script: Script, params: dict[str, Any], shown: dict[str, str]) -> CapturedCode:
    text = script_text(script)
    path = os.path.abspath(os.fspath(script.path))
    args = arguments(script.args, params)
    patterns = dict(script.metrics or {})
    return CapturedCode(
        kind="script",
        label=_label(os.path.basename(path)),
        payload=text,
        format="text",
        fingerprint=_digest(b"script", text, path.encode(), msgspec.json.encode([args, patterns])),
        params=shown,
        args=args,
        path=path,
        metric_patterns=patterns,
        versions=versions_for(b""),
    )


def _container(container: Container, params: dict[str, Any], shown: dict[str, str]) -> CapturedCode:
    check_list("command", container.command)
    check_list("args", container.args)
    patterns = dict(container.metrics or {})
    check_patterns(patterns)
    command = tuple(map(str, container.command))
    args = arguments(container.args, params)
    return CapturedCode(
        kind="container",
        label=_label(str(container.image)),
        payload=None,
        format="",
        fingerprint=_digest(b"container", msgspec.json.encode([container.image, command, args, patterns])),
        params=shown,
        command=command,
        args=args,
        metric_patterns=patterns,
    )


def _pickled(kind: str, called: str, thing: object, shown: dict[str, str]) -> CapturedCode:
    from mltemporal.code.culprits import why_not_shipped, why_too_large
    from mltemporal.code.fingerprints import fingerprint
    from mltemporal.code.shipping import TooLarge, dumps_for_job

    label = _label(called)
    try:
        payload = dumps_for_job(thing, limit_bytes=LIMIT_BYTES)
    except InvalidTrainer:
        raise
    except TooLarge as error:
        raise why_too_large(label, thing, LIMIT_BYTES) from error
    except Exception as error:  # an object's own pickling may raise anything
        raise why_not_shipped(label, thing, error) from error
    return CapturedCode(
        kind=kind,
        label=label,
        payload=payload,
        format="cloudpickle",
        fingerprint=_digest(kind.encode(), fingerprint(thing)),
        params=shown,
        versions=versions_for(payload),
    )


def _with_params(estimator: Any, params: dict[str, Any]) -> Any:
    from sklearn.base import clone

    try:
        cloned = clone(estimator)
    except (TypeError, RuntimeError) as error:
        raise InvalidTrainer(
            f"{type(estimator).__name__} cannot be cloned: {error}",
            "let its __init__ keep its parameters unchanged, as scikit-learn asks",
        ) from error
    if params:
        valid = cloned.get_params(deep=True)
        refuse_unknown(type(estimator).__name__, params, sorted(valid))
        cloned.set_params(**params)
    return cloned


def _class_given(kind: type) -> InvalidTrainer:
    if hasattr(kind, "fit"):
        return InvalidTrainer(f"{kind.__name__} is a class", f"pass an instance: {kind.__name__}()")
    return InvalidTrainer(
        f"{kind.__name__} is a class and cannot train", "pass an estimator or a function fit(data)"
    )


def _shown(name: str, value: object) -> str:
    """Return a parameter for people: short, and never a secret."""
    if sounds_secret(name):
        return "•••"
    try:
        text = repr(value)
    except Exception as error:  # a foreign __repr__ may raise anything
        text = f"<{type(value).__name__}, whose repr raises {type(error).__name__}>"
    return text if len(text) <= _SHOWN else text[: _SHOWN - 1] + "…"


def _label(text: str) -> str:
    """Return what people call the trainer; by default the job is named after it."""
    return one_line(text)[:_LABEL] or "trainer"


def _digest(*parts: bytes) -> str:
    digest = hashlib.sha256()
    for part in parts:
        digest.update(len(part).to_bytes(8, "little") + part)
    return digest.hexdigest()
