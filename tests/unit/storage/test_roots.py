"""Names from users, from other programs and from stored records stay below their root."""

from pathlib import Path

import pytest

from mltemporal.errors import InvalidRequest
from mltemporal.launchers.local import LocalLauncher
from mltemporal.results import StoredFile
from mltemporal.specs.data import Artifact, ObjectRef
from mltemporal.storage.content import Storage
from mltemporal.storage.output import output_url

NASTY = ["../../x", "..", ".", "", "/etc/x", "a\0b", "C:\\x", "..\\..\\x", "a/../../x", "x\n", "\x1b[31m"]


@pytest.fixture
def storage(tmp_path: Path) -> Storage:
    return Storage(str(tmp_path / "storage"))


def files(folder: Path) -> set[str]:
    return {str(path.relative_to(folder)) for path in folder.rglob("*")}


@pytest.mark.parametrize("name", NASTY)
def test_a_note_s_key_and_name_stay_below_the_storage(storage: Storage, tmp_path: Path, name: str) -> None:
    before = files(tmp_path)
    for call in (
        lambda: storage.put_note(name, "spec", {}),
        lambda: storage.put_note("training-1", name, {}),
        lambda: storage.get_note(name, "spec", dict),
        lambda: storage.discard_notes(name),
        lambda: storage.note_names(name, "shards"),
        lambda: storage.note_names("training-1", name),
    ):
        with pytest.raises(InvalidRequest):
            call()
    assert before == files(tmp_path)


@pytest.mark.parametrize("sha256", [*NASTY, "../" * 21 + "a", "AB" * 32, "ab" * 31])
def test_an_object_s_reference_is_a_hash_and_no_path(storage: Storage, sha256: str) -> None:
    ref = ObjectRef(sha256=sha256, size_bytes=1)
    for call in (storage.get_bytes, storage.has, storage.discard, storage.size_of, storage.url_of):
        with pytest.raises(InvalidRequest, match="no SHA-256"):
            call(ref)


@pytest.mark.parametrize("name", NASTY)
def test_an_artifact_saved_into_a_folder_stays_in_it(storage: Storage, tmp_path: Path, name: str) -> None:
    target = tmp_path / "here" / "below"
    target.mkdir(parents=True)
    file = StoredFile(Artifact(name=name, object=storage.put_bytes(b"x")), storage)
    before = files(tmp_path)
    with pytest.raises(InvalidRequest, match="has no name for a file"):
        file.save(target)
    assert before == files(tmp_path)
    assert target / "copy.bin" == file.save(target / "copy.bin")


def test_an_artifact_in_a_folder_of_its_own_is_saved_by_its_last_name(
    storage: Storage, tmp_path: Path
) -> None:
    file = StoredFile(Artifact(name="plots/roc.png", object=storage.put_bytes(b"x")), storage)
    assert tmp_path / "roc.png" == file.save(tmp_path)


@pytest.mark.parametrize("name", ["../x", "", ".hidden", "a/b", "/etc"])
async def test_a_process_s_name_is_no_path(storage: Storage, tmp_path: Path, name: str) -> None:
    with pytest.raises(InvalidRequest, match="cannot name a process"):
        await LocalLauncher(tmp_path / "home", storage.url, max_jobs=1).find(name)


@pytest.mark.parametrize("url", ["", "  ", "http://x/y", "s3://", "s3:///", "ftp://x"])
def test_an_output_is_a_folder_or_a_prefix(url: str) -> None:
    with pytest.raises(InvalidRequest):
        output_url(url)
