"""What a crash left half-written is removed after its grace; nothing else is."""

import os
import time
from pathlib import Path

from mltemporal.storage.content import Storage
from mltemporal.storage.leftovers import GRACE_S, sweep
from mltemporal.storage.output import Output

OLD = time.time() - GRACE_S - 60


def aged(path: Path, when: float = OLD) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("half")
    os.utime(path, (when, when))
    return path


def test_what_nobody_writes_to_any_more_is_removed(local: Storage) -> None:
    incoming = Path(local.url) / "incoming"
    file, folder = aged(incoming / "tmpabcd1234"), aged(incoming / ".new-abcd_123" / "object").parent
    os.utime(folder, (OLD, OLD))
    assert ["incoming/.new-abcd_123", "incoming/tmpabcd1234"] == sweep(local.url)
    assert not file.exists()
    assert not folder.exists()
    assert [] == sweep(local.url)


def test_what_is_being_written_or_is_not_ours_stays(local: Storage) -> None:
    incoming = Path(local.url) / "incoming"
    growing = aged(incoming / ".new-abcd1234" / "object", time.time())
    os.utime(growing.parent, (OLD, OLD))
    others = [
        aged(incoming / "notes.txt"),
        aged(Path(local.url) / ".bashrc"),
        aged(incoming / "tmpabcd12345"),
    ]
    kept = local.put_bytes(b"whole")
    os.utime(local.url_of(kept), (OLD, OLD))
    assert [] == sweep(local.url)
    assert growing.exists()
    assert all(path.exists() for path in others)
    assert b"whole" == local.get_bytes(kept)


def test_the_names_are_those_that_our_writers_give(local: Storage, monkeypatch) -> None:
    """Each writer is cut off in the middle of its write."""
    moved: list[str] = []
    monkeypatch.setattr(os, "replace", lambda source, _: moved.append(source))
    local.put_bytes(b"whole")
    output = Output(f"{local.url}/predictions/inference-1")
    with local.writing(format="text") as written, output.writing("part-00000.parquet") as part:
        for path in (Path(moved[0]), written.path, part):
            aged(path)
        os.utime(written.path.parent, (OLD, OLD))
        other = aged(part.with_name(".hidden"))
        elsewhere = aged(Path(local.url) / "mine" / part.name)
        removed = sweep(local.url)
        assert [] == [path for path in (Path(moved[0]), written.path, part) if path.exists()]
        assert 3 == len(removed)
        assert f"predictions/inference-1/{part.name}" == removed[-1]
        written.path.parent.mkdir()
        written.path.touch()
        part.touch()
    assert other.exists()
    assert elsewhere.exists()


def test_a_storage_that_holds_nothing_yet_has_nothing_to_remove(tmp_path: Path) -> None:
    assert [] == sweep(str(tmp_path / "none"))


def test_uploads_that_were_given_up_are_ended_under_our_prefix_only(remote: Storage, s3) -> None:
    client = s3.client()
    bucket, _, prefix = remote.url.removeprefix("s3://").rstrip("/").partition("/")
    ours, theirs = f"{prefix}/objects/ab/cdef", f"{prefix}-of-others/objects/ab/cdef"
    uploads = {
        key: client.create_multipart_upload(Bucket=bucket, Key=key)["UploadId"] for key in (ours, theirs)
    }

    def open_uploads() -> set[str]:
        return {upload["Key"] for upload in client.list_multipart_uploads(Bucket=bucket).get("Uploads", [])}

    assert [] == sweep(remote.url)
    assert {ours, theirs} <= open_uploads()
    assert [f"the upload of {ours}"] == sweep(remote.url, older_than_s=-60)
    assert ours not in open_uploads()
    assert theirs in open_uploads()
    client.abort_multipart_upload(Bucket=bucket, Key=theirs, UploadId=uploads[theirs])
    assert [] == sweep(remote.url, older_than_s=-60)
