"""A plan with all that its steps have learnt: ready to be applied to shards, and to rows to predict."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import msgspec

from mltemporal.code.versions import check_versions
from mltemporal.errors import CorruptObject
from mltemporal.preparation.code_stages import restored_code
from mltemporal.preparation.plan import Plan
from mltemporal.preparation.state import State, packed, unpacked
from mltemporal.specs.data import ObjectRef
from mltemporal.specs.encoding import decode, encode
from mltemporal.storage.content import Storage


@dataclass(frozen=True, kw_only=True)
class Fitted:
    """What `fit` returns; of one process, and to be used by one thread at a time.

    What is large (fitted transformers, the rows that `drop_duplicates` drops) is read when it is needed:
    to `transform` rows, no row lists are.
    """

    plan: Plan
    schema: Any = field(repr=False)
    """Arrow's, of the rows as they are read."""
    output: Any = field(default=None, repr=False)
    """Arrow's, of the rows that are written."""
    states: dict[int, State] = field(default_factory=dict, repr=False)
    """By the step's place."""
    notes: tuple[str, ...] = ()
    """What a person should know of what was learnt, in sentences."""
    files: dict[int, Path] = field(default_factory=dict, repr=False)
    """What is large, while it is not stored, by the step's place."""
    storage: Storage | None = field(default=None, repr=False)
    made: dict[Any, Any] = field(default_factory=dict, repr=False, compare=False)
    """What was unpickled or built here, for the next batch."""

    def state(self, place: int) -> State:
        """Return what the step at ``place`` has learnt; empty where it has not, or has nothing to."""
        return self.states.get(place, State())

    def learnt(self, place: int, state: State, *notes: str, file: Path | None = None) -> Fitted:
        """Return this with what one more step has learnt."""
        files = self.files if file is None else {**self.files, place: file}
        states = {**self.states, place: state}
        return replace(self, states=states, files=files, notes=(*self.notes, *notes), made={})

    def code(self, number: int) -> Any:
        """Return the user's function, or the unfitted transformer, unpickled once.

        Raises:
            VersionMismatch: Python or a package differs from the launching kernel's.
            InvalidTrainer: the code does not load here.
        """
        key = ("code", number)
        if key not in self.made:
            self.made[key] = restored_code(self.plan.code[number])
        return self.made[key]

    def transformer(self, place: int) -> Any:
        """Return the fitted transformer of the step at ``place``; None while it is not fitted.

        Raises:
            CorruptObject: the stored bytes are not the ones that were stored.
        """
        key = ("transformer", place)
        if key not in self.made and (self.state(place).object or place in self.files):
            import cloudpickle

            check_versions(self.plan.versions)
            with self._large(place) as path:
                self.made[key] = cloudpickle.loads(path.read_bytes())
        return self.made.get(key)

    def dropped(self, place: int, shard: int) -> Any:
        """Return the numbers of the shard's rows that the `drop_duplicates` at ``place`` drops, sorted."""
        return self._of_shard(place, shard).column("row").to_numpy()

    def before(self, place: int, shard: int) -> dict[str, int]:
        """Return by class how many rows stand before the shard, for the stratified split at ``place``."""
        table = self._of_shard(place, shard)
        return dict(zip(table.column("class").to_pylist(), table.column("before").to_pylist(), strict=True))

    def store(self, storage: Storage) -> ObjectRef:
        """Store all of it by content and return the reference. Idempotent.

        Raises:
            ServiceUnavailable: storage does not answer or is full.
        """
        states = {
            str(place): replace(state, object=storage.put_file(self.files[place]))
            if place in self.files
            else state
            for place, state in self.states.items()
        }
        stored = _Stored(
            plan=self.plan.store(storage),
            schema=packed(self.schema),
            output=packed(self.output),
            states=states,
            notes=self.notes,
        )
        return storage.put_bytes(encode(stored).encode(), format="json")

    @classmethod
    def load(cls, ref: ObjectRef, storage: Storage) -> Fitted:
        """Return what `store` stored; nothing is unpickled yet.

        Raises:
            NotFound: it is not in ``storage``.
            CorruptObject: the bytes are not the ones that were stored, or are no fitted steps.
        """
        data = storage.get_bytes(ref)
        try:
            stored = decode(data, _Stored)
        except msgspec.DecodeError as error:
            raise CorruptObject(
                f"object {ref.sha256[:12]}… are no fitted steps: {error}", "run the preprocessing again"
            ) from error
        return cls(
            plan=Plan.load(stored.plan, storage),
            schema=unpacked(stored.schema),
            output=unpacked(stored.output),
            states={int(place): state for place, state in stored.states.items()},
            notes=stored.notes,
            storage=storage,
        )

    @contextmanager
    def _large(self, place: int) -> Iterator[Path]:
        if place in self.files:
            yield self.files[place]
            return
        ref = self.state(place).object
        assert ref is not None
        assert self.storage is not None
        with self.storage.local_path(ref) as path:
            yield path

    def _of_shard(self, place: int, shard: int) -> Any:
        import pyarrow.parquet as pq

        with self._large(place) as path:
            return pq.read_table(path, filters=[("shard", "==", shard)])


@dataclass(frozen=True, kw_only=True)
class _Stored:
    plan: ObjectRef
    schema: str
    output: str
    states: dict[str, State]
    notes: tuple[str, ...] = ()
