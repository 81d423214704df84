"""What `preprocess` and `predict` do, by the bare engines; prints seconds and peak memory as JSON.

    bare_data.py prepare INPUT OUTPUT MEMORY_MIB
    bare_data.py score INPUT OUTPUT MODEL

Both use every core. Imports are counted, as they are for ours.
"""

import json
import multiprocessing
import os
import pickle
import sys
import threading
import time
from pathlib import Path

import psutil

STARTED = time.perf_counter()


def prepare(source: str, target: str, memory_mib: str) -> None:
    """Profile, fit a mean on the training rows, apply and split in one pass, profile what came out."""
    import duckdb

    connection = duckdb.connect(
        config={"memory_limit": f"{memory_mib}MiB", "preserve_insertion_order": False}
    )
    connection.execute(f"SET temp_directory = '{target}.spill'")
    rows = f"read_parquet('{source}/*.parquet')"
    _profile(connection, rows)
    side = "CASE WHEN hash(id) % 1000 < 200 THEN 'test' ELSE 'train' END"
    (mean,) = connection.execute(
        f"SELECT avg(dep_delay) FROM {rows} WHERE {side} = 'train' AND arr_delay IS NOT NULL"
    ).fetchone()
    connection.execute(
        f"COPY (SELECT * REPLACE (coalesce(dep_delay, {mean}) AS dep_delay,"
        f" CAST(distance AS DOUBLE) AS distance),"
        f" distance / greatest(air_time, 1) AS speed, {side} AS side FROM {rows}"
        f" WHERE arr_delay IS NOT NULL AND month <= 11) TO '{target}' (FORMAT parquet, COMPRESSION zstd,"
        " PARTITION_BY (side), ROW_GROUP_SIZE 122880)"
    )
    for part in ("train", "test"):
        _profile(connection, f"read_parquet('{target}/side={part}/*.parquet')")


def _profile(connection: object, rows: str) -> None:
    columns = connection.execute(f"DESCRIBE SELECT * FROM {rows}").fetchall()
    asked = []
    for name, kind, *_ in columns:
        asked += [f"count({name})", f"approx_count_distinct({name})", f"min({name})", f"max({name})"]
        if kind in ("BIGINT", "DOUBLE", "INTEGER"):
            asked += [f"avg({name})", f"stddev({name})", f"approx_quantile({name}, [0.25, 0.5, 0.75])"]
    connection.execute(f"SELECT count(*), {', '.join(asked)} FROM {rows}").fetchall()


def score(source: str, target: str, model: str) -> None:
    """A loop over batches in a process for each core, a file at a time."""
    files = sorted(Path(source).glob("*.parquet"))
    Path(target).mkdir(parents=True)
    os.environ["OMP_NUM_THREADS"] = "1"
    with multiprocessing.get_context("spawn").Pool(os.cpu_count()) as pool:
        pool.starmap(
            _score_file, [(str(file), f"{target}/{file.name}", model) for file in files], chunksize=1
        )


def _score_file(source: str, target: str, model: str) -> None:
    import pyarrow as pa
    import pyarrow.parquet as pq

    with open(model, "rb") as file:
        fitted = pickle.load(file)
    features = list(fitted.feature_names_in_)
    reader, writer = pq.ParquetFile(source), None
    for batch in reader.iter_batches(batch_size=65_536, columns=[*features, "id"]):
        table = batch.to_pandas()
        found = pa.table({"id": batch.column("id"), "prediction": fitted.predict(table[features])})
        writer = writer or pq.ParquetWriter(target, found.schema, compression="zstd")
        writer.write_table(found)
    writer.close()


class Watch:
    """The largest sum of what this process and its children held at once."""

    def __init__(self) -> None:
        self.peak_bytes = 0
        threading.Thread(target=self._look, daemon=True).start()

    def _look(self) -> None:
        me = psutil.Process()
        while True:
            held = 0
            for process in [me, *me.children(recursive=True)]:
                try:
                    held += process.memory_info().rss
                except psutil.NoSuchProcess:
                    continue
            self.peak_bytes = max(self.peak_bytes, held)
            time.sleep(0.05)


if __name__ == "__main__":
    watch = Watch()
    {"prepare": prepare, "score": score}[sys.argv[1]](*sys.argv[2:])
    print(json.dumps({"seconds": time.perf_counter() - STARTED, "peak_bytes": watch.peak_bytes}))
