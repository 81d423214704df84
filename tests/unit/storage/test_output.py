"""What a job writes for people, in a folder and in a bucket: whole or not at all, never over another's."""

import errno
import json
import os
from pathlib import Path
from typing import Any

import pytest

from mltemporal.errors import InvalidRequest, ServiceUnavailable
from mltemporal.storage.content import Storage
from mltemporal.storage.output import MANIFEST, Output, output_url


@pytest.fixture(params=["directory", "s3"])
def output(request: pytest.FixtureRequest, tmp_path: Path) -> Output:
    if request.param == "directory":
        return Output(str(tmp_path / "out" / "scores"))
    return Output(f"{request.getfixturevalue('s3_url')}/scores")


@pytest.fixture
def folder(tmp_path: Path) -> Output:
    return Output(str(tmp_path / "out"))


def everything_in(output: Output) -> list[str]:
    return sorted(str(path.relative_to(output.url)) for path in Path(output.url).rglob("*"))


# Files


def test_a_file_appears_whole_and_is_replaced_whole(output: Output) -> None:
    for text in ("first", "second"):
        with output.writing("train/part-00000.parquet") as path:
            path.write_text(text)
    assert ["train/part-00000.parquet"] == output.names()
    assert "second" == output.read_text("train/part-00000.parquet")
    assert 6 == output.size("train/part-00000.parquet")
    assert f"{output.url}/train/part-00000.parquet" == output.part_url("train/part-00000.parquet")


def test_a_file_whose_writer_fails_does_not_appear(output: Output) -> None:
    with pytest.raises(FileNotFoundError), output.writing("part-00000.parquet") as path:
        path.with_name("elsewhere").rename(path)
    assert ([], None, None) == (output.names(), output.read_text("part-00000.parquet"), output.size("x"))


def test_removing_what_is_not_there_does_nothing(output: Output) -> None:
    output.write_text("a.json", "{}")
    output.remove("a.json")
    output.remove("a.json")
    assert [] == output.names()


def test_what_a_writer_left_that_was_killed_is_hidden_and_removed(folder: Output) -> None:
    folder.write_text("train/part-00000.parquet", "whole")
    pid = os.fork()
    if pid == 0:
        with folder.writing("train/part-00001.parquet") as path:
            path.write_text("half")
            os._exit(9)
    os.waitpid(pid, 0)
    assert ["train/part-00000.parquet"] == folder.names()
    assert 3 == len(everything_in(folder))
    folder.tidy()
    assert ["train", "train/part-00000.parquet"] == everything_in(folder)


@pytest.mark.parametrize("number", [errno.ENOSPC, errno.EROFS])
def test_a_disk_that_takes_nothing_is_told_and_what_the_block_raises_passes(
    folder: Output, number: int
) -> None:
    with (
        pytest.raises(ServiceUnavailable, match="could not write 'a'.*\n.*free space"),
        folder.writing("a"),
    ):
        raise OSError(number, os.strerror(number))
    with pytest.raises(ConnectionError, match="the model's own"), folder.writing("a"):
        raise ConnectionError("the model's own")


def test_a_folder_is_made_absolute(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("HOME", "/home/ada")
    assert str(tmp_path / "scores") == output_url("scores/")
    assert "/home/ada/scores" == output_url("~/scores")
    assert "/data/scores" == output_url("file:///data/scores")
    assert "s3://bucket/scores" == output_url("s3://bucket/scores/")


@pytest.mark.parametrize("url", ["gs://bucket/scores", "s3://", " ", "s3://KEY:secret@bucket/scores"])
def test_what_is_neither_a_folder_nor_a_prefix_is_refused(url: str) -> None:
    with pytest.raises(InvalidRequest):
        Output(url)


# Whose it is


def test_a_job_finds_its_own_output_again(output: Output) -> None:
    output.claim("job-1")
    output.write_text("part-00000.parquet", "rows")
    output.claim("job-1")
    assert ["_job.json", "part-00000.parquet"] == output.names()
    assert {"job": "job-1"} == json.loads(output.read_text("_job.json") or "")


def test_what_another_job_wrote_is_refused_unless_it_is_to_be_replaced(output: Output) -> None:
    output.claim("job-1")
    output.write_text("test/part-00000.parquet", "rows")
    output.write_text(MANIFEST, "{}")
    with pytest.raises(InvalidRequest, match="exists already.*\n.*overwrite=True"):
        output.claim("job-2")
    assert 3 == len(output.names())
    output.check_free(overwrite=True)
    output.claim("job-2", overwrite=True)
    assert ["_job.json"] == output.names()
    assert {"job": "job-2"} == json.loads(output.read_text("_job.json") or "")


def test_files_of_people_are_never_replaced(output: Output) -> None:
    output.write_text("thesis.parquet", "years of work")
    for overwrite in (False, True):
        with pytest.raises(InvalidRequest, match=r"no job of this kind wrote: 'thesis.parquet'"):
            output.claim("job-1", overwrite=overwrite)
    assert ["thesis.parquet"] == output.names()


def test_a_replacement_that_is_interrupted_goes_on(output: Output, monkeypatch: pytest.MonkeyPatch) -> None:
    output.claim("job-1")
    for number in range(3):
        output.write_text(f"part-{number:05}.parquet", "rows")
    output.write_text(MANIFEST, "{}")
    removed: list[str] = []

    def dies(name: str) -> None:
        if len(removed) == 2:
            raise ServiceUnavailable("gone")
        removed.append(name)
        Output.remove(output, name)

    with monkeypatch.context() as broken:
        broken.setattr(output, "remove", dies)
        with pytest.raises(ServiceUnavailable):
            output.claim("job-2", overwrite=True)
    assert MANIFEST not in output.names()
    output.claim("job-2", overwrite=True)
    assert ["_job.json"] == output.names()


def test_a_file_in_the_place_of_a_folder_is_refused(tmp_path: Path) -> None:
    (tmp_path / "scores").write_text("")
    with pytest.raises(InvalidRequest, match="is a file"):
        Output(str(tmp_path / "scores" / "deep")).check_free()


# Notes, listed


def test_notes_are_listed_a_folder_at_a_time(storage: Storage) -> None:
    assert [] == storage.note_names("job-1", "shards")
    for name in ("spec", "shards/0000001", "shards/0000000", "shards/deeper/0000002", "shards2/0000003"):
        storage.put_note("job-1", name, {})
    assert ["shards/0000000", "shards/0000001"] == storage.note_names("job-1", "shards")
    assert [] == storage.note_names("job-2", "shards")


def test_more_notes_than_a_page_holds_are_listed(remote: Storage, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("mltemporal.storage.s3_listing.PAGE_KEYS", 3)
    for number in range(8):
        remote.put_note("job-1", f"shards/{number:07}", {})
    assert 8 == len(remote.note_names("job-1", "shards"))


def test_a_disk_that_can_only_be_read_now_may_be_written_later(tmp_path: Path, monkeypatch: Any) -> None:
    facts = os.statvfs(tmp_path)
    read_only = os.statvfs_result((*facts[:8], facts.f_flag | os.ST_RDONLY, *facts[9:]))
    monkeypatch.setattr(os, "statvfs", lambda path: read_only)
    with pytest.raises(ServiceUnavailable, match="the disk of .* can only be read"):
        Output(str(tmp_path / "scores")).check_free()
