"""Objects by content and notes by name, in a directory and in a bucket."""

import hashlib
import os
import sys
import threading
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

import pytest

from mltemporal.errors import CorruptObject, InvalidRequest, NotFound, ServiceUnavailable
from mltemporal.specs.data import ObjectRef
from mltemporal.specs.running import Attempt
from mltemporal.storage.content import Storage

DATA = b"some bytes" * 1000
ATTEMPT = Attempt(job_id=7, number=2)
Files = Callable[[Storage], list[str]]
Overwrite = Callable[[Storage, str, bytes], None]


def name_of(ref: ObjectRef) -> str:
    return f"objects/{ref.sha256[:2]}/{ref.sha256}"


def test_bytes_come_back_under_their_hash(storage: Storage) -> None:
    ref = storage.put_bytes(DATA, format="text")
    expected = ObjectRef(sha256=hashlib.sha256(DATA).hexdigest(), size_bytes=len(DATA), format="text")
    assert expected == ref
    assert storage.get_bytes(ref) == DATA
    assert storage.size_of(ref) == len(DATA)


def test_a_file_comes_back_whole(storage: Storage, tmp_path: Path) -> None:
    (tmp_path / "file").write_bytes(DATA)
    ref = storage.put_file(tmp_path / "file")
    assert storage.put_bytes(DATA) == ref
    with storage.local_path(ref) as path:
        assert path.read_bytes() == DATA


def test_an_object_has_an_address_for_other_programs(storage: Storage) -> None:
    ref = storage.put_bytes(DATA)
    assert f"{storage.url.rstrip('/')}/{name_of(ref)}" == storage.url_of(ref)


def test_nothing_can_be_stored_as_well(storage: Storage) -> None:
    ref = storage.put_bytes(b"")
    assert storage.has(ref)
    assert storage.get_bytes(ref) == b""


@pytest.mark.parametrize("damage", [b"other bytes", DATA[:100], DATA[:-1] + b"!"])
def test_a_corrupt_object_is_not_used(storage: Storage, overwrite: Overwrite, damage: bytes) -> None:
    ref = storage.put_bytes(DATA)
    overwrite(storage, name_of(ref), damage)
    expected = (
        f"object {ref.sha256[:12]}… holds other bytes than were stored "
        f"(now {hashlib.sha256(damage).hexdigest()[:12]}…)"
    )
    for read in (lambda: storage.get_bytes(ref), lambda: storage.local_path(ref).__enter__()):
        with pytest.raises(CorruptObject) as caught:
            read()
        assert expected == caught.value.what


def test_an_object_that_was_cut_off_is_stored_anew(storage: Storage, overwrite: Overwrite) -> None:
    ref = storage.put_bytes(DATA)
    overwrite(storage, name_of(ref), DATA[:100])
    assert not storage.has(ref)
    assert storage.put_bytes(DATA) == ref
    assert storage.get_bytes(ref) == DATA


def test_a_missing_object_is_named_with_its_storage(storage: Storage) -> None:
    ref = ObjectRef(sha256="ab" * 32, size_bytes=3)
    assert not storage.has(ref)
    for read in (storage.get_bytes, storage.size_of):
        with pytest.raises(NotFound) as caught:
            read(ref)
        assert (
            f"object abababababab… is not in storage {storage.url!r}\n"
            "Next step: check that the storage is the one it was written to"
        ) == str(caught.value)


def test_discarding_what_is_gone_does_nothing(storage: Storage) -> None:
    ref = storage.put_bytes(DATA)
    storage.discard(ref)
    storage.discard(ref)
    assert not storage.has(ref)


@pytest.mark.parametrize("sha256", ["", "../../etc/passwd", "AB" * 32, "ab" * 31])
def test_a_reference_that_is_no_hash_reaches_no_file(storage: Storage, sha256: str) -> None:
    with pytest.raises(InvalidRequest, match="is no SHA-256"):
        storage.get_bytes(ObjectRef(sha256=sha256, size_bytes=1))


def test_a_note_comes_back_and_the_last_one_counts(storage: Storage) -> None:
    assert storage.get_note("training-1", "2/output", Attempt) is None
    storage.put_note("training-1", "2/output", Attempt(job_id=1, number=1))
    storage.put_note("training-1", "2/output", ATTEMPT)
    assert ATTEMPT == storage.get_note("training-1", "2/output", Attempt)


def test_the_notes_of_one_job_go_together(storage: Storage) -> None:
    for key in ("training-1", "training-2"):
        storage.put_note(key, "spec", ATTEMPT)
        storage.put_note(key, "1/output", ATTEMPT)
    storage.discard_notes("training-1")
    storage.discard_notes("training-1")
    assert storage.get_note("training-1", "spec", Attempt) is None
    assert storage.get_note("training-1", "1/output", Attempt) is None
    assert ATTEMPT == storage.get_note("training-2", "1/output", Attempt)


def test_one_note_is_removed_and_the_others_stay(storage: Storage) -> None:
    for name in ("1/output", "2/output"):
        storage.put_note("training-1", name, ATTEMPT)
    storage.discard_note("training-1", "1/output")
    storage.discard_note("training-1", "1/output")
    assert storage.get_note("training-1", "1/output", Attempt) is None
    assert ATTEMPT == storage.get_note("training-1", "2/output", Attempt)


def test_an_object_is_announced_before_it_appears(storage: Storage) -> None:
    announced = []
    with storage.writing(
        format="text", announce=lambda ref: announced.append((ref, storage.has(ref)))
    ) as written:
        written.path.write_bytes(DATA)
    assert [(written.ref, False)] == announced
    assert storage.has(written.ref)


@pytest.mark.parametrize("name", ["", "../spec", "Spec", "a//b", "/etc/passwd", "a/../../b"])
def test_a_name_that_would_leave_the_jobs_folder_is_refused(storage: Storage, name: str) -> None:
    with pytest.raises(InvalidRequest, match="cannot name a note"):
        storage.put_note("training-1", name, ATTEMPT)


def test_the_check_leaves_nothing(storage: Storage, files: Files) -> None:
    storage.check()
    assert [] == files(storage)


def test_a_store_whose_package_is_missing_names_the_command(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "s3fs", None)
    monkeypatch.setenv("AWS_REGION", "none-has-connected-to")
    with pytest.raises(ServiceUnavailable, match="needs a package that is not installed") as caught:
        Storage("s3://bucket/prefix").check()
    assert "pip install 'mltemporal[s3]'" == caught.value.next_step


def test_a_scheme_that_nobody_knows_is_refused() -> None:
    with pytest.raises(InvalidRequest) as caught:
        Storage("s4://bucket/prefix")
    assert (
        "storage 's4://bucket/prefix' has a scheme that is not known\n"
        "Next step: set MLTEMPORAL_STORAGE_URL to a directory, or to s3://bucket/prefix"
    ) == str(caught.value)


def test_the_same_bytes_are_stored_once(storage: Storage, files: Files) -> None:
    first, second = storage.put_bytes(DATA), storage.put_bytes(DATA)
    assert first == second
    assert [name_of(first)] == files(storage)


def test_when_writing_fails_nothing_is_stored(storage: Storage, files: Files) -> None:
    with suppress(ZeroDivisionError), storage.writing(format="bytes") as written:
        written.path.write_bytes(b"half")
        raise ZeroDivisionError
    assert [] == files(storage)


def test_racing_writers_of_the_same_bytes_leave_one_whole_object(storage: Storage, files: Files) -> None:
    data = os.urandom(1 << 16)
    start = threading.Barrier(16)
    refs = []

    def write() -> None:
        start.wait()
        refs.append(storage.put_bytes(data))

    threads = [threading.Thread(target=write) for _ in range(16)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert 1 == len(set(refs))
    assert 16 == len(refs)
    assert storage.get_bytes(refs[0]) == data
    assert 1 == len(files(storage))


def test_a_note_that_cannot_be_read_says_so(storage: Storage, overwrite: Overwrite) -> None:
    storage.put_note("training-1", "spec", ATTEMPT)
    overwrite(storage, "jobs/training-1/spec.json", b'{"job_id": 7')
    with pytest.raises(CorruptObject, match="the note training-1/spec in storage .* cannot be read"):
        storage.get_note("training-1", "spec", Attempt)


def test_a_reader_never_sees_half_a_note(storage: Storage) -> None:
    """The writer and the reader are two threads; each note has the same text many times over."""
    done = threading.Event()
    storage.put_note("training-1", "spec", [0] * 1000)

    def write() -> None:
        for i in range(100):
            storage.put_note("training-1", "spec", [i] * (1000 + i))
        done.set()

    writer = threading.Thread(target=write)
    writer.start()
    seen = []
    while not done.is_set():
        note = storage.get_note("training-1", "spec", list[int])
        assert note is not None
        seen.append((len(set(note)), len(note) - note[0]))
    writer.join()
    assert {(1, 1000)} == set(seen)
