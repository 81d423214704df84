"""Bytes, tables and models in storage, and what is kept with them."""

from __future__ import annotations

from dataclasses import dataclass, field


@dataclass(frozen=True, kw_only=True)
class ObjectRef:
    """Bytes in storage, named by their content."""

    sha256: str
    size_bytes: int
    format: str = "bytes"
    """What the bytes are: ``parquet``, ``cloudpickle``, ``skops``, ``json``, ``text``, ``bytes``."""


@dataclass(frozen=True, kw_only=True)
class Artifact:
    """A file that a job leaves behind."""

    name: str
    object: ObjectRef


@dataclass(frozen=True, kw_only=True)
class Column:
    """One column of a table."""

    name: str
    type: str
    """Arrow's name of the type, e.g. ``double`` or ``dictionary<values=string, …>``."""


@dataclass(frozen=True, kw_only=True)
class DatasetRef:
    """A table: either an object in storage, or files that stay where they are."""

    fingerprint: str
    """SHA-256 of the content (stored tables) or of names, sizes and times (referred files)."""
    rows: int
    """Number of rows; -1 when counting would mean reading everything (CSV)."""
    columns: tuple[Column, ...]
    format: str = "parquet"
    """``parquet`` or ``csv``."""
    object: ObjectRef | None = None
    uri: str | None = None
    """As the user gave it, made absolute: a file, directory or glob, local or ``s3://``."""
    name: str | None = None
    """The name under which it is registered."""
    target: str | None = None
    """Set where the source says so itself (a scikit-learn Bunch)."""

    @property
    def column_names(self) -> tuple[str, ...]:
        """The columns' names, in order."""
        return tuple(column.name for column in self.columns)


@dataclass(frozen=True, kw_only=True)
class Shard:
    """A part of a dataset that is worked on, written and recorded as one."""

    index: int
    file: int
    """Which of the dataset's files, in the order of their names."""
    row_groups: tuple[int, ...] = ()
    """Of a parquet file; empty: the whole file."""
    first_row: int = -1
    """Where it begins, counted over the whole dataset; -1 where unknown (CSV)."""
    rows: int = -1
    """How many rows it has; -1 where unknown (CSV)."""


@dataclass(frozen=True, kw_only=True)
class Expectation:
    """What a column must be like; None and False ask for nothing."""

    column: str
    type: str | None = None
    """``integer``, ``number``, ``text``, ``boolean``, ``date`` or ``timestamp``."""
    minimum: float | str | None = None
    maximum: float | str | None = None
    """Both inclusive; dates and times as ISO text."""
    null_share: float | None = None
    """At most this share of the rows may be missing, 0 to 1."""
    unique: bool = False
    allowed: tuple[str | float | bool, ...] | None = None


@dataclass(frozen=True, kw_only=True)
class DatasetFacts:
    """What is kept with a registered dataset: where it came from and what it is like."""

    made_by: int | None = None
    """The job that wrote it."""
    part: str = ""
    sources: tuple[str, ...] = ()
    """Fingerprints of the datasets that it was made from."""
    steps: tuple[str, ...] = ()
    pipeline: ObjectRef | None = None
    profile: ObjectRef | None = None
    expectations: tuple[Expectation, ...] = ()
    code: str = ""
    """The hash of the plan: which code made it."""


@dataclass(frozen=True, kw_only=True)
class ModelRef:
    """A fitted model in storage and what it takes to use it again."""

    object: ObjectRef
    """Format ``skops`` where it loads safely, else ``cloudpickle``."""
    label: str
    task: str | None = None
    """``classification`` or ``regression`` where known."""
    target: str | None = None
    features: tuple[str, ...] = ()
    """Column names that ``predict`` takes, in order; empty where unknown."""
    trusted: tuple[str, ...] = ()
    """Types beyond scikit-learn's own that a skops file needs; shown before they are loaded."""
    versions: dict[str, str] = field(default_factory=dict)
    """Packages (and Python) of the process that stored it which must agree where it is loaded."""
