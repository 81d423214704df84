"""The checked plan of a preprocessing: steps in order, and the code that travels with them."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from typing import Any, ClassVar

import msgspec

from mltemporal import steps
from mltemporal.code.capturing import CapturedCode
from mltemporal.errors import CorruptObject
from mltemporal.specs.data import Column, ObjectRef
from mltemporal.specs.encoding import converted, decode, encode
from mltemporal.specs.request import TrainerRef
from mltemporal.steps import Split, Step
from mltemporal.storage.content import Storage


@dataclass(frozen=True, repr=False)
class Called(steps.Step):
    """A function of the user's, as it stands in a plan: its code is in `Plan.code`."""

    word: ClassVar[str] = "function"
    label: str
    code: int


@dataclass(frozen=True, repr=False)
class Transformed(steps.Step):
    """A transformer, as it stands in a plan: its code is in `Plan.code`."""

    word: ClassVar[str] = "transform"
    label: str
    columns: tuple[str, ...] | None
    code: int


_KINDS: tuple[type[steps.Step], ...] = (
    steps.DropMissing,
    steps.FillMissing,
    steps.DropDuplicates,
    steps.Cast,
    steps.Filter,
    steps.Select,
    steps.Drop,
    steps.Rename,
    steps.Derive,
    steps.Encode,
    steps.Scale,
    steps.Split,
    Called,
    Transformed,
)


@dataclass(frozen=True, kw_only=True)
class Plan:
    """Steps that passed every check that needs no rows; `parse_steps` makes it."""

    steps: tuple[Step, ...]
    target: str | None = None
    seed: int = 0
    code: tuple[CapturedCode, ...] = field(default=(), repr=False)
    columns_after: tuple[Column, ...] | None = None
    """What comes out; None where only the rows will tell (categories, functions)."""
    notes: tuple[str, ...] = ()
    """What a person should know, in sentences."""

    @property
    def split(self) -> Split | None:
        """The step that splits, if there is one."""
        return next((step for step in self.steps if isinstance(step, Split)), None)

    @property
    def parts(self) -> tuple[str, ...]:
        """``("train", "test")``, or ``("dataset",)`` without a split."""
        return ("train", "test") if self.split else ("dataset",)

    @property
    def steps_in_words(self) -> tuple[str, ...]:
        """Each step as it would be written."""
        return tuple(map(in_words, self.steps))

    @property
    def versions(self) -> dict[str, str]:
        """Versions of the launching kernel that must agree where the code is unpickled."""
        return {name: version for code in self.code for name, version in code.versions.items()}

    @property
    def fingerprint(self) -> str:
        """SHA-256 of what the plan does; the same when the same cell is run again."""
        parts = {
            "steps": [_plain(step) for step in self.steps],
            "code": [code.fingerprint for code in self.code],
            "target": self.target,
            "seed": self.seed,
        }
        return hashlib.sha256(msgspec.json.encode(parts)).hexdigest()

    def store(self, storage: Storage) -> ObjectRef:
        """Store plan and code by content and return the plan's reference. Idempotent.

        Raises:
            ServiceUnavailable: storage does not answer or is full.
        """
        stored = _Stored(
            steps=[_plain(step) for step in self.steps],
            code=[code.store(storage) for code in self.code],
            fingerprints=[code.fingerprint for code in self.code],
            target=self.target,
            seed=self.seed,
            columns_after=self.columns_after,
            notes=self.notes,
        )
        return storage.put_bytes(encode(stored).encode(), format="json")

    @classmethod
    def load(cls, ref: ObjectRef, storage: Storage) -> Plan:
        """Return the plan that `store` stored; its code is verified by hash, and not unpickled yet.

        Raises:
            NotFound: plan or code are not in ``storage``.
            CorruptObject: the bytes are not the ones that were stored, or are no plan.
        """
        data = storage.get_bytes(ref)
        try:
            stored = decode(data, _Stored)
            planned = tuple(map(_step, stored.steps))
        except (msgspec.DecodeError, KeyError, TypeError) as error:
            raise CorruptObject(
                f"object {ref.sha256[:12]}… is no plan of a preprocessing: {error}",
                "run the preprocessing again with this version",
            ) from error
        return cls(
            steps=planned,
            target=stored.target,
            seed=stored.seed,
            code=tuple(
                _captured(code, fingerprint, storage)
                for code, fingerprint in zip(stored.code, stored.fingerprints, strict=True)
            ),
            columns_after=stored.columns_after,
            notes=stored.notes,
        )


@dataclass(frozen=True, kw_only=True)
class _Stored:
    steps: list[dict[str, Any]]
    code: list[TrainerRef]
    fingerprints: list[str]
    target: str | None
    seed: int
    columns_after: tuple[Column, ...] | None
    notes: tuple[str, ...]


def in_words(step: steps.Step) -> str:
    """Return a step as a person would write it."""
    if isinstance(step, Called):
        return f"{step.label}()"
    if isinstance(step, Transformed):
        columns = "" if step.columns is None else f", columns={list(step.columns)!r}"
        return f"transform({step.label}{columns})"
    return repr(step)


def _plain(step: steps.Step) -> dict[str, Any]:
    return {"kind": type(step).__name__, **asdict(step)}


def _step(stored: Mapping[str, Any]) -> steps.Step:
    kinds = {kind.__name__: kind for kind in _KINDS}
    values = {name: value for name, value in stored.items() if name != "kind"}
    step: steps.Step = converted(values, kinds[stored["kind"]])
    return step


def _captured(ref: TrainerRef, fingerprint: str, storage: Storage) -> CapturedCode:
    assert ref.code is not None
    return CapturedCode(
        kind=ref.kind,
        label=ref.label,
        payload=storage.get_bytes(ref.code),
        format=ref.code.format,
        fingerprint=fingerprint,
        params=ref.params,
        versions=ref.versions,
    )
