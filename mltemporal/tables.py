"""Registered datasets as people hold them: what they are like and where they came from."""

from __future__ import annotations

import html
from functools import cached_property
from typing import TYPE_CHECKING, Any

from mltemporal.errors import InvalidDataset, NotFound
from mltemporal.specs.data import DatasetRef, Expectation
from mltemporal.specs.encoding import decode
from mltemporal.words import one_line

if TYPE_CHECKING:
    import pandas as pd
    from matplotlib.figure import Figure

    from mltemporal.database.datasets import DatasetRow
    from mltemporal.dataset.checking import CheckedDataset
    from mltemporal.profiling.profiles import Profile
    from mltemporal.session import Session


class Dataset:
    """One registered table: ``train(dataset)``, ``preprocess(dataset)`` and ``predict(…, dataset)`` take it.

    Its rows stay where they are; a handle holds what is recorded of them.
    """

    def __init__(self, session: Session, row: DatasetRow) -> None:
        self._session = session
        self._row = row
        self.id = row.id
        self.ref: DatasetRef = row.ref

    @property
    def name(self) -> str:
        """The name it is registered under; else the last part of its URI, or ``table``."""
        return dataset_name(self.ref)

    @property
    def uri(self) -> str:
        """Where its files are; of an in-memory table, where it was stored."""
        if self.ref.object is not None:
            return self._session.storage.url_of(self.ref.object)
        return self.ref.uri or ""

    @property
    def rows(self) -> int | None:
        """How many rows it has; None where counting would mean reading everything (large CSV)."""
        return self.ref.rows if self.ref.rows >= 0 else None

    @property
    def schema(self) -> dict[str, str]:
        """Arrow's name of each column's type, in the order of the columns."""
        return {column.name: column.type for column in self.ref.columns}

    @property
    def expectations(self) -> tuple[Expectation, ...]:
        """What its columns must be like; checked again before each training on it."""
        return self._row.facts.expectations

    @property
    def steps(self) -> tuple[str, ...]:
        """The steps that it was made by, in words; empty where no job made it."""
        return self._row.facts.steps

    @cached_property
    def profile(self) -> Profile:
        """What its columns are like. Kept with a preprocessed dataset; of another one it is made now.

        Raises:
            InvalidDataset: the files are gone or have changed.
            ServiceUnavailable: storage does not answer.
        """
        from mltemporal.dataset.shards import opened_dataset
        from mltemporal.profiling.measuring import profile
        from mltemporal.profiling.profiles import Profile

        kept = self._row.facts.profile
        if kept is not None:
            return decode(self._session.storage.get_bytes(kept), Profile)
        with opened_dataset(self.ref, self._session.storage) as files:
            return profile(files, target=self.ref.target)

    def frame(self, limit: int | None = None) -> pd.DataFrame:
        """Return all rows, or the first ``limit``, as a DataFrame.

        Raises:
            InvalidDataset: the files are gone or have changed.
            ServiceUnavailable: storage does not answer.
        """
        from mltemporal.dataset.loading import to_pandas
        from mltemporal.dataset.reading import read_all, read_head
        from mltemporal.dataset.shards import opened_dataset

        with opened_dataset(self.ref, self._session.storage) as files:
            return to_pandas(read_all(files) if limit is None else read_head(files, limit))

    def lineage(self) -> Figure:
        """Return a figure of where it came from: datasets, and the jobs and steps between them."""
        from mltemporal.plots.lineage import plot_lineage

        return plot_lineage(*_ancestry(self._session, self._row))

    def __repr__(self) -> str:
        rows = "" if self.rows is None else f"{self.rows:,} rows × "
        return f"<Dataset {self.name!r}: {rows}{len(self.ref.columns)} columns>"

    def _repr_html_(self) -> str:
        kept = self._row.facts.profile
        shown = self.profile._repr_html_() if kept is not None else ""
        what, where = html.escape(repr(self), quote=True), html.escape(one_line(self.uri), quote=True)
        return f"<div><b>{what}</b> {where}</div>{shown}"


class DatasetList(list[Dataset]):
    """Registered datasets, newest first; ``datasets()["clean"]`` is the newest of a name."""

    def __getitem__(self, key: Any) -> Any:
        if not isinstance(key, str):
            return super().__getitem__(key)
        found = next((dataset for dataset in self if dataset.ref.name == key), None)
        if found is None:
            names = sorted({dataset.ref.name for dataset in self if dataset.ref.name})
            raise NotFound(f"no dataset is registered as {key!r}", f"there are {names}")
        return found

    @property
    def frame(self) -> pd.DataFrame:
        """One row a dataset: when it was registered, what it is, where it is, and which job made it."""
        import pandas as pd

        rows = [
            {
                "registered": dataset._row.created_at,  # noqa: SLF001
                "name": one_line(dataset.name),
                "rows": dataset.rows,
                "columns": len(dataset.ref.columns),
                "format": dataset.ref.format,
                "uri": one_line(dataset.uri) or None,
                "made by job": dataset._row.facts.made_by,  # noqa: SLF001
                "steps": ", ".join(map(one_line, dataset.steps)),
                "fingerprint": dataset.ref.fingerprint[:12],
            }
            for dataset in self
        ]
        frame = pd.DataFrame(rows, columns=None if rows else _COLUMNS)
        frame["registered"] = pd.to_datetime(frame["registered"], unit="s", utc=True)
        frame["rows"] = frame["rows"].astype("Int64")
        frame["made by job"] = frame["made by job"].astype("Int64")
        return frame

    def __repr__(self) -> str:
        return repr(self.frame) if self else "no datasets yet"

    def _repr_html_(self) -> str:
        shown: str = self.frame.to_html(index=False, escape=True) if self else "<em>no datasets yet</em>"
        return shown


_COLUMNS = (
    *("registered", "name", "rows", "columns", "format", "uri"),
    *("made by job", "steps", "fingerprint"),
)


def dataset_name(ref: DatasetRef) -> str:
    """Return what a person calls a dataset."""
    return ref.name or (ref.uri.rstrip("/").rpartition("/")[2] if ref.uri else "table")


def known(session: Session, source: object) -> DatasetRow | None:
    """Return the registered dataset that ``source`` is or names; None where it is something else.

    A path or URI that exists is meant before a name.
    """
    import glob
    import os

    if isinstance(source, Dataset):
        return source._row  # noqa: SLF001
    if not isinstance(source, str) or "://" in source or glob.has_magic(source) or os.path.lexists(source):
        return None
    return session.database.datasets.named(source) if source.isprintable() else None


def _ancestry(session: Session, row: DatasetRow) -> tuple[Any, Any]:
    """Return the nodes and edges of everything that ``row`` was made from."""
    from mltemporal.plots.lineage import LineageEdge, LineageNode

    nodes: dict[str, Any] = {}
    edges: list[Any] = []
    waiting = [(row, 0)]
    while waiting:
        each, depth = waiting.pop()
        if each.ref.fingerprint in nodes:
            continue
        nodes[each.ref.fingerprint] = LineageNode(
            id=each.ref.fingerprint, label=dataset_name(each.ref), rows=each.ref.rows, depth=depth
        )
        for source in each.facts.sources:
            label = "\n".join([f"job {each.facts.made_by}", *each.facts.steps])
            edges.append(LineageEdge(source=source, target=each.ref.fingerprint, label=label))
            found = session.database.datasets.of(source)
            if found is not None:
                waiting.append((found, depth + 1))
    return list(nodes.values()), [edge for edge in edges if edge.source in nodes]


def checked(
    session: Session,
    source: object,
    registered: DatasetRow | None,
    *,
    target: str | None = None,
    needs_features: bool = False,
) -> CheckedDataset:
    """Check a table, path or registered dataset in the kernel, as `mltemporal.dataset.inspect` does.

    Raises:
        InvalidDataset: it cannot be read, files are not what they were, or ``target`` cannot be predicted.
        ServiceUnavailable: storage or S3 does not answer.
    """
    from mltemporal.dataset.checking import inspect, inspect_ref

    if registered is None:
        return inspect(source, target=target, needs_features=needs_features)
    try:
        return inspect_ref(registered.ref, session.storage, target=target, needs_features=needs_features)
    except InvalidDataset as error:
        name = dataset_name(registered.ref)
        raise InvalidDataset(f"dataset {name!r}: {error.what}", error.next_step) from error
