"""`log_artifact`: files and objects that a job leaves behind."""

from __future__ import annotations

import os
import shutil
import zipfile
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from mltemporal.errors import InvalidRequest
from mltemporal.progress import is_file_name
from mltemporal.runtime import context, reporting
from mltemporal.specs.data import Artifact

_PICTURE_DPI = 150

_unnamed: Counter[str] = Counter()
_told: dict[str, Artifact] = {}


@dataclass(frozen=True)
class _Saving:
    """How a thing becomes a file."""

    default_name: str
    format: str
    write: Callable[[Path], object]


def log_artifact(path_or_obj: Any, name: str | None = None) -> None:
    """Keep a file or an object with the job.

    A path to a file is stored as it is, a directory as a zip, bytes and text as they are, a table
    as parquet, a matplotlib figure as PNG, anything else by cloudpickle. Outside a job it only
    prints what would be kept.

    Args:
        path_or_obj: a string is a path unless ``name`` is given and no such file exists; then it is text.
        name: what the artifact is called; an extension is added where it has none.

    Raises:
        InvalidRequest: there is no such file, or the name is none.
        ServiceUnavailable: storage does not answer or is full.
    """
    path = _as_path(path_or_obj, name)
    saving = _object_saving(path_or_obj) if path is None else _path_saving(path)
    name = _named(name, saving.default_name, keep=path is not None and not path.is_dir())
    job = context.current()
    if job is None:
        print(f"mltemporal: no job runs here; in one the artifact {name!r} would be kept")  # noqa: T201
        return
    with job.storage.writing(format=saving.format) as written:
        saving.write(written.path)
    _told[name] = Artifact(name=name, object=written.ref)
    reporting.artifact(name, written.ref)


def told() -> tuple[Artifact, ...]:
    """Return what this process has kept, the last of each name."""
    return tuple(_told.values())


def _as_path(value: Any, name: str | None) -> Path | None:
    if not isinstance(value, (str, os.PathLike)):
        return None
    try:
        path = Path(value)
        exists = path.exists()
    except (OSError, ValueError):  # a text too long or too odd for a path
        exists = False
    if exists:
        if not os.access(path, os.R_OK):
            raise InvalidRequest(f"the file {str(path)!r} cannot be read", "check its permissions")
        return path
    if isinstance(value, str) and name is not None:
        return None
    raise InvalidRequest(
        f"there is no file {str(value)[:200]!r} to keep as an artifact",
        "check the path; to keep a text, give it a name: log_artifact(text, name='notes.txt')",
    )


def _named(name: str | None, default: str, *, keep: bool) -> str:
    if name is None:
        _unnamed[default] += 1
        stem, extension = os.path.splitext(default)
        return default if keep or _unnamed[default] == 1 else f"{stem}-{_unnamed[default]}{extension}"
    if not isinstance(name, str) or not is_file_name(name):
        raise InvalidRequest(
            f"{str(name)[:250]!r} cannot name an artifact",
            "use a relative name of at most 200 characters, e.g. 'roc.png'",
        )
    return name if keep or os.path.splitext(name)[1] else name + os.path.splitext(default)[1]


def _path_saving(path: Path) -> _Saving:
    if path.is_dir():
        return _Saving(f"{path.resolve().name}.zip", "bytes", lambda target: _write_zip(path, target))
    return _Saving(path.name, "bytes", lambda target: shutil.copyfile(path, target))


def _object_saving(value: Any) -> _Saving:
    """Judge ``value`` without importing the library that it may come from."""
    kind = type(value).__name__
    saving = _Saving(f"{kind}.pkl", "cloudpickle", lambda target: _write_pickle(value, target))
    match type(value).__module__.split(".")[0], kind:
        case "builtins", "bytes" | "bytearray" | "memoryview":
            saving = _Saving("bytes.bin", "bytes", lambda target: target.write_bytes(value))
        case "builtins", "str":
            saving = _Saving("text.txt", "text", lambda target: target.write_text(value, encoding="utf-8"))
        case "pandas", "DataFrame":
            saving = _Saving("table.parquet", "parquet", value.to_parquet)
        case "polars", "DataFrame":
            saving = _Saving("table.parquet", "parquet", value.write_parquet)
        case "pyarrow", "Table":
            saving = _Saving("table.parquet", "parquet", lambda target: _write_arrow(value, target))
        case _ if hasattr(value, "savefig"):
            saving = _Saving("figure.png", "bytes", lambda target: _write_picture(value, target))
    return saving


def _write_zip(folder: Path, target: Path) -> None:
    with zipfile.ZipFile(target, "w", zipfile.ZIP_DEFLATED) as archive:
        for file in sorted(folder.rglob("*")):
            archive.write(file, file.relative_to(folder))


def _write_picture(figure: Any, target: Path) -> None:
    figure.savefig(target, format="png", dpi=_PICTURE_DPI)


def _write_arrow(table: Any, target: Path) -> None:
    import pyarrow.parquet

    pyarrow.parquet.write_table(table, target)


def _write_pickle(value: Any, target: Path) -> None:
    import cloudpickle

    with target.open("wb") as file:
        cloudpickle.dump(value, file)
