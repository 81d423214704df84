"""What each step is once its arguments are checked: small values that can be written down."""

from __future__ import annotations

from dataclasses import MISSING, dataclass, field, fields
from typing import Any, ClassVar


@dataclass(frozen=True, repr=False)
class Step:
    """Something that is done to a table; made by the functions of this module."""

    word: ClassVar[str]

    def __repr__(self) -> str:
        shown = []
        for position, each in enumerate(fields(self)):
            value = getattr(self, each.name)
            default = each.default_factory() if each.default_factory is not MISSING else each.default
            if value != default:
                text = repr(list(value)) if isinstance(value, tuple) else repr(value)
                shown.append(text if position == 0 else f"{each.name}={text}")
        return f"{self.word}({', '.join(shown)})"


@dataclass(frozen=True, repr=False)
class DropMissing(Step):
    """Made by `steps.drop_missing`."""

    word: ClassVar[str] = "drop_missing"
    columns: tuple[str, ...] | None = None


@dataclass(frozen=True, repr=False)
class FillMissing(Step):
    """Made by `steps.fill_missing`."""

    word: ClassVar[str] = "fill_missing"
    values: dict[str, Any] = field(default_factory=dict)
    columns: tuple[str, ...] | None = None
    strategy: str | None = None
    value: Any = None


@dataclass(frozen=True, repr=False)
class DropDuplicates(Step):
    """Made by `steps.drop_duplicates`."""

    word: ClassVar[str] = "drop_duplicates"
    columns: tuple[str, ...] | None = None


@dataclass(frozen=True, repr=False)
class Cast(Step):
    """Made by `steps.cast`."""

    word: ClassVar[str] = "cast"
    types: dict[str, str] = field(default_factory=dict)
    errors: str = "raise"


@dataclass(frozen=True, repr=False)
class Filter(Step):
    """Made by `steps.filter`."""

    word: ClassVar[str] = "filter"
    condition: str = ""


@dataclass(frozen=True, repr=False)
class Select(Step):
    """Made by `steps.select`."""

    word: ClassVar[str] = "select"
    columns: tuple[str, ...] = ()


@dataclass(frozen=True, repr=False)
class Drop(Step):
    """Made by `steps.drop`."""

    word: ClassVar[str] = "drop"
    columns: tuple[str, ...] = ()


@dataclass(frozen=True, repr=False)
class Rename(Step):
    """Made by `steps.rename`."""

    word: ClassVar[str] = "rename"
    names: dict[str, str] = field(default_factory=dict)


@dataclass(frozen=True, repr=False)
class Derive(Step):
    """Made by `steps.derive`."""

    word: ClassVar[str] = "derive"
    expressions: dict[str, str] = field(default_factory=dict)


@dataclass(frozen=True, repr=False)
class Encode(Step):
    """Made by `steps.encode`."""

    word: ClassVar[str] = "encode"
    columns: tuple[str, ...] = ()
    method: str = "onehot"
    max_categories: int | None = None


@dataclass(frozen=True, repr=False)
class Scale(Step):
    """Made by `steps.scale`."""

    word: ClassVar[str] = "scale"
    columns: tuple[str, ...] = ()
    method: str = "standard"


@dataclass(frozen=True, repr=False)
class Split(Step):
    """Made by `steps.split`."""

    word: ClassVar[str] = "split"
    test_size: float = 0.2
    by: tuple[str, ...] | None = None
    stratify: str | None = None
    group: tuple[str, ...] | None = None
    time: str | None = None
    test_from: str | None = None


@dataclass(frozen=True, repr=False)
class Function(Step):
    """Made by `steps.function`."""

    word: ClassVar[str] = "function"
    function: Any = None


@dataclass(frozen=True, repr=False)
class Transform(Step):
    """Made by `steps.transform`."""

    word: ClassVar[str] = "transform"
    transformer: Any = None
    columns: tuple[str, ...] | None = None
