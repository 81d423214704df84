from collections.abc import Iterator
from pathlib import Path

import duckdb
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from mltemporal.preparation.engine import Engine, literal


@pytest.fixture
def file(tmp_path: Path) -> Path:
    path = tmp_path / "it's a file.parquet"
    pq.write_table(pa.table({"a": [1, 2]}), path)
    return path


@pytest.fixture(scope="module")
def engine(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Engine]:
    with Engine(scratch=str(tmp_path_factory.mktemp("engine") / "scratch")) as engine:
        yield engine


@pytest.mark.parametrize(
    "query",
    [
        "SELECT * FROM read_text('/etc/hostname')",
        "SELECT * FROM '{file}'",
        "SELECT * FROM glob('/etc/*')",
        "COPY (SELECT 1) TO '{file}.csv'",
        "ATTACH '{file}.db'",
        "INSTALL httpfs",
        "LOAD httpfs",
        "SET enable_external_access = true",
        "SET allowed_directories = ['/']",
        "CREATE SECRET (TYPE s3)",
        "SELECT * FROM table_of_the_caller",
    ],
)
def test_the_engine_is_locked_in(engine: Engine, file: Path, query: str) -> None:
    table_of_the_caller = pa.table({"a": [1]})
    with pytest.raises(duckdb.Error):
        engine.execute(query.replace("{file}", str(file).replace("'", "''")))
    assert 1 == table_of_the_caller.num_rows


def test_it_reads_the_one_file_that_it_is_for(tmp_path: Path, file: Path) -> None:
    other = tmp_path / "other.parquet"
    other.write_bytes(file.read_bytes())
    with Engine(readable=[str(file)]) as engine:
        (table,) = engine.scan(f"FROM read_parquet({literal(str(file))})")
        assert [1, 2] == table.column("a").to_pylist()
        with pytest.raises(duckdb.Error):
            list(engine.scan(f"FROM read_parquet({literal(str(other))})"))


def test_times_are_read_the_same_on_every_machine(engine: Engine) -> None:
    assert [("2020-01-01 00:00:00+00",)] == engine.execute("SELECT CAST(TIMESTAMPTZ '2020-01-01' AS VARCHAR)")


def test_other_calls_may_come_between_the_tables_of_a_scan(tmp_path: Path) -> None:
    path = tmp_path / "a.parquet"
    pq.write_table(pa.table({"a": range(200_000)}), path)
    with Engine(readable=[str(path)]) as engine:
        sums = [
            engine.run("SELECT sum(a) AS s FROM batch", table).column("s")[0].as_py()
            for table in engine.scan(f"FROM read_parquet('{path}')")
        ]
    assert len(sums) > 1
    assert sum(range(200_000)) == sum(sums)
