import io
import pickle
import zipfile
from collections.abc import Callable
from pathlib import Path

import matplotlib as mpl
import pandas as pd
import pytest

from mltemporal.errors import InvalidRequest
from mltemporal.progress import Line
from mltemporal.runtime.artifacts import log_artifact
from mltemporal.runtime.context import Job

mpl.use("agg")


@pytest.fixture
def kept(job: Job, told: Callable[[], list[Line]]):  # type: ignore[no-untyped-def]
    """Return what was kept so far: (name, format, bytes) each."""

    def read() -> list[tuple[str, str, bytes]]:
        refs = [(line.name, line.object) for line in told()]
        return [(name, ref.format, job.storage.get_bytes(ref)) for name, ref in refs if ref]

    return read


def test_a_file_is_kept_as_it_is(kept, tmp_path: Path) -> None:  # type: ignore[no-untyped-def]
    file = tmp_path / "weights.bin"
    file.write_bytes(b"123")

    log_artifact(file)
    log_artifact(str(file), name="sub/other")

    assert [("weights.bin", "bytes", b"123"), ("sub/other", "bytes", b"123")] == kept()


def test_a_directory_is_kept_as_a_zip(kept, tmp_path: Path) -> None:  # type: ignore[no-untyped-def]
    (tmp_path / "run" / "sub").mkdir(parents=True)
    (tmp_path / "run" / "sub" / "a.txt").write_text("a")

    log_artifact(tmp_path / "run")

    [(name, _, data)] = kept()
    assert "run.zip" == name
    with zipfile.ZipFile(io.BytesIO(data)) as archive:
        assert b"a" == archive.read("sub/a.txt")


def test_objects_are_kept_in_the_form_of_their_kind(kept) -> None:  # type: ignore[no-untyped-def]
    from matplotlib.figure import Figure

    frame = pd.DataFrame({"a": [1, 2]})
    log_artifact(b"\x00\x01")
    log_artifact("some text", name="notes")
    log_artifact(frame, name="predictions")
    log_artifact(Figure())
    log_artifact({"a": 1}, name="settings")

    raw, text, table, picture, other = kept()
    assert ("bytes.bin", "bytes", b"\x00\x01") == raw
    assert ("notes.txt", "text", b"some text") == text
    assert ("predictions.parquet", "parquet") == table[:2]
    pd.testing.assert_frame_equal(frame, pd.read_parquet(io.BytesIO(table[2])))
    assert ("figure.png", b"\x89PNG") == (picture[0], picture[2][:4])
    assert ("settings.pkl", "cloudpickle", {"a": 1}) == (*other[:2], pickle.loads(other[2]))


def test_polars_and_arrow_tables_are_tables_too(kept) -> None:  # type: ignore[no-untyped-def]
    import polars
    import pyarrow as pa

    log_artifact(polars.DataFrame({"a": [1]}), name="p")
    log_artifact(pa.table({"a": [1]}), name="q")

    assert ["p.parquet", "q.parquet"] == [name for name, _, _ in kept()]


def test_a_second_object_without_a_name_gets_another(kept) -> None:  # type: ignore[no-untyped-def]
    log_artifact([1], name=None)
    log_artifact([2], name=None)

    assert ["list.pkl", "list-2.pkl"] == [name for name, _, _ in kept()]


@pytest.mark.parametrize("missing", ["plots/roc.png", Path("plots/roc.png"), "x" * 10_000, "a\x00b"])
def test_a_path_that_is_not_there_is_refused(missing: object) -> None:
    with pytest.raises(InvalidRequest, match="there is no file"):
        log_artifact(missing)


@pytest.mark.parametrize("name", ["", "/etc/x", "../x", "a/../b", "x" * 201, "a\nb", 3])
def test_a_name_that_is_none_is_refused(name: object) -> None:
    with pytest.raises(InvalidRequest, match="cannot name an artifact"):
        log_artifact(b"1", name=name)  # type: ignore[arg-type]


def test_outside_a_job_it_says_what_would_be_kept(capsys: pytest.CaptureFixture[str]) -> None:
    log_artifact({"a": 1}, name="settings")

    assert (
        "mltemporal: no job runs here; in one the artifact 'settings.pkl' would be kept\n"
        == capsys.readouterr().out
    )
