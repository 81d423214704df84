"""DuckDB, locked in: it computes over tables that it is handed, and reads nothing by itself.

Data comes in and goes out as arrow tables. No expression reaches a file, the network, the environment or
a setting, even one that `expressions` would have let through; what memory does not hold is spilled.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any

from mltemporal.errors import InvalidRequest

BATCH_ROWS = 65_536
_LOCKS = (
    "SET GLOBAL TimeZone = 'UTC'",  # times read as text must not depend on the machine
    # Parquet's statistics leave NaN out; by them there is none, and filters would not find it.
    "SET disabled_optimizers = 'statistics_propagation'",
    "SET python_enable_replacements = false",
    "SET enable_external_access = false",
    "SET autoload_known_extensions = false",
    "SET autoinstall_known_extensions = false",
    "SET allow_community_extensions = false",
    "SET lock_configuration = true",
)


class Engine:
    """An in-memory database of its own; for one thread at a time.

    Args:
        memory_mib: what it may hold before it spills.
        threads: how many it computes with; with one, rows keep their order and sums their last digit.
        scratch: the folder that it spills into; None: it does not.
        readable: the files that `scan` may read.
    """

    def __init__(
        self,
        *,
        memory_mib: int = 256,
        threads: int = 1,
        scratch: str | None = None,
        readable: Sequence[str] = (),
    ) -> None:
        import duckdb

        config = {"memory_limit": f"{memory_mib}MiB", "threads": threads, "temp_directory": scratch or ""}
        self._connection = duckdb.connect(":memory:", config=config)
        if readable:
            self._connection.execute(f"SET allowed_paths = [{', '.join(map(literal, readable))}]")
        for lock in _LOCKS:
            self._connection.execute(lock)

    def __enter__(self) -> Engine:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def run(self, query: str, table: Any) -> Any:
        """Return what ``query`` makes of the arrow ``table``, which it calls ``batch``, as an arrow table."""
        return self._connection.from_arrow(table).query("batch", query).to_arrow_table()

    def scan(self, query: str) -> Iterator[Any]:
        """Yield what ``query`` makes of a readable file, as arrow tables; other calls may come between."""
        import pyarrow as pa

        with self._connection.cursor() as reading:
            for batch in reading.sql(query).to_arrow_reader(BATCH_ROWS):
                yield pa.Table.from_batches([batch])

    def types(self, table: Any) -> dict[str, str]:
        """Return DuckDB's names of the types of an arrow table's columns."""
        relation = self._connection.from_arrow(table)
        return dict(zip(relation.columns, map(str, relation.types), strict=True))

    def execute(self, query: str, values: list[Any] | None = None) -> list[tuple[Any, ...]]:
        """Run a statement over the engine's own tables and return its rows."""
        rows: list[tuple[Any, ...]] = self._connection.execute(query, values).fetchall()
        return rows

    def keep(self, name: str, table: Any, query: str = "FROM batch") -> None:
        """Append what ``query`` makes of an arrow table to the engine's own table ``name``."""
        relation = self._connection.from_arrow(table).query("batch", query)
        if self.has(name):
            relation.insert_into(name)
        else:
            relation.create(name)

    def has(self, name: str) -> bool:
        """Whether the engine has a table of that name."""
        query = "SELECT 1 FROM duckdb_tables() WHERE table_name = ?"
        return bool(self._connection.execute(query, [name]).fetchall())

    def forget(self) -> None:
        """Drop the engine's own tables."""
        for (name,) in self._connection.execute("SELECT table_name FROM duckdb_tables()").fetchall():
            self._connection.execute(f"DROP TABLE {quoted(name)}")

    def batches(self, query: str) -> Iterator[Any]:
        """Yield the rows of a query over the engine's own tables as record batches."""
        yield from self._connection.sql(query).to_arrow_reader(BATCH_ROWS)

    def close(self) -> None:
        """Let go of memory and spilled files; may be called twice."""
        self._connection.close()


def quoted(name: str) -> str:
    """Return a column's name as SQL writes it."""
    return '"' + name.replace('"', '""') + '"'


def literal(value: str) -> str:
    """Return text as SQL writes it."""
    return "'" + value.replace("'", "''") + "'"


def first_line(error: Exception) -> str:
    """Return what DuckDB says was wrong, without the position in a statement that nobody wrote."""
    lines = [line for line in str(error).split("\n\nLINE ")[0].splitlines() if line.strip()]
    return " ".join(lines).partition(": ")[2] or " ".join(lines)


@contextmanager
def memory_told() -> Iterator[None]:
    """Say in our words that memory and disk did not suffice.

    Raises:
        InvalidRequest: so.
    """
    import duckdb

    try:
        yield
    except duckdb.OutOfMemoryException as error:
        raise InvalidRequest(
            f"the engine ran out of memory: {first_line(error)}",
            "give the job more memory, or free space where temporary files are",
        ) from error
