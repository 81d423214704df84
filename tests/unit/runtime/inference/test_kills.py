"""Whatever is killed, and whenever: each row is scored once."""

import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pandas as pd
import pytest

from mltemporal.progress import Line, parse_line
from mltemporal.runtime import inference
from mltemporal.runtime.context import Job
from mltemporal.runtime.failure import users_traceback
from mltemporal.specs.data import ModelRef
from mltemporal.specs.results import RunOutput


@dataclass
class Attempts:
    """Runs attempts at a batch inference as real processes, each shard in one of two others."""

    scorer: Any
    process: "subprocess.Popen[bytes] | None" = None

    def start(self, attempt: int) -> None:
        self.process = subprocess.Popen(
            [
                sys.executable,
                "-m",
                "mltemporal.runtime",
                self.scorer.storage.url,
                self.scorer.key,
                str(attempt),
            ],
            stdout=subprocess.PIPE,
            start_new_session=True,
        )

    def until(self, seen: Callable[[], bool]) -> None:
        end = time.monotonic() + 60
        while not seen():
            assert self.process is not None
            assert self.process.poll() is None
            assert time.monotonic() < end
            time.sleep(0.01)

    def kill(self) -> None:
        assert self.process is not None
        self.process.kill()
        self.process.communicate(timeout=60)

    def end(self) -> tuple[int, list[Line]]:
        assert self.process is not None
        output, _ = self.process.communicate(timeout=60)
        lines = [line for part in output.decode().splitlines() if (line := parse_line(part))]
        return self.process.returncode, lines


@pytest.fixture
def asked(scorer: Any, frame: pd.DataFrame, by_hand: ModelRef, tmp_path: Path) -> Callable[..., None]:
    """Ask for a dataset of six shards, to be scored by a model that may be told to wait or to die."""

    def ask(cpu: int | None = None) -> None:
        frame.to_parquet(tmp_path / "in.parquet", row_group_size=10)
        scorer.cpu = cpu
        scorer.ask(by_hand, scorer.dataset(str(tmp_path / "in.parquet")), keep=("id",), shards=6)

    return ask


@pytest.fixture
def attempts(scorer: Any, asked: Callable[..., None]) -> Iterator[Attempts]:
    asked(cpu=2)
    attempts = Attempts(scorer)
    yield attempts
    if attempts.process is not None and attempts.process.poll() is None:
        attempts.kill()


def assert_complete(scorer: Any, frame: pd.DataFrame) -> None:
    scores = scorer.scores()
    assert list(frame["id"]) == list(scores["id"])
    assert list(frame["id"] * 3) == list(scores["prediction_0"].astype(int))
    names = {path.name for path in scorer.output.iterdir()}
    assert {*(f"part-0000{i}.parquet" for i in range(6)), "_job.json", "_manifest.json"} == names
    assert (60, 6) == (scorer.manifest()["rows"], len(scorer.manifest()["parts"]))


def test_a_killed_shard_process_costs_its_shard_only(
    attempts: Attempts, scorer: Any, frame: pd.DataFrame, tmp_path: Path
) -> None:
    (tmp_path / "die-at-30").touch()
    attempts.start(1)
    code, lines = attempts.end()
    output = scorer.storage.get_note(scorer.key, "1/output", RunOutput)
    assert 0 == code
    assert_complete(scorer, frame)
    assert ["shard 3 (rows 30 to 40 of the dataset)"] == [
        line.text.partition("worked on ")[2].partition(" ended")[0] for line in lines if line.event == "note"
    ]
    assert 60 == output.scored.rows


def test_an_attempt_goes_on_where_a_killed_one_ended(
    attempts: Attempts, scorer: Any, frame: pd.DataFrame, tmp_path: Path
) -> None:
    for row in (20, 30):
        (tmp_path / f"wait-at-{row}").touch()
    attempts.start(1)
    attempts.until(lambda: (tmp_path / "at-20").exists() and (tmp_path / "at-30").exists())
    attempts.kill()
    before = {path: path.stat().st_mtime_ns for path in scorer.output.glob("part-*")}
    assert ["part-00000.parquet", "part-00001.parquet"] == sorted(path.name for path in before)
    for row in (20, 30):
        (tmp_path / f"wait-at-{row}").unlink()
    attempts.start(2)
    code, lines = attempts.end()
    assert 0 == code
    assert_complete(scorer, frame)
    assert before == {path: path.stat().st_mtime_ns for path in before}
    assert "resumed: 2 of 6 shards were done already" in [line.text for line in lines]


def test_a_part_without_a_note_is_written_again(
    asked: Callable[..., None], scorer: Any, frame: pd.DataFrame
) -> None:
    asked()
    inference.run(Job(scorer.storage, scorer.key, 1))
    (Path(scorer.storage.url) / "jobs" / scorer.key / "shards" / "0000002.json").unlink()
    (scorer.output / "_manifest.json").unlink()
    (scorer.output / "part-00002.parquet").write_bytes(b"half")
    inference.run(Job(scorer.storage, scorer.key, 2))
    assert_complete(scorer, frame)


def test_an_error_of_the_model_is_told_by_the_users_own_frames(
    asked: Callable[..., None], scorer: Any, tmp_path: Path
) -> None:
    asked()
    (tmp_path / "fail-at-0").touch()
    with pytest.raises(ValueError, match="row 0 is odd") as caught:
        inference.run(Job(scorer.storage, scorer.key, 1))
    told = users_traceback(caught.value)
    assert "in predict\n" in told
    assert "mltemporal/runtime" not in told
    assert not (scorer.output / "_manifest.json").exists()
