"""A directory as a store: a file appears by being moved into place."""

from __future__ import annotations

import os
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from mltemporal.storage.hashing import sha256_of


class Folder:
    """A `Place` on a local file system."""

    def __init__(self, path: str) -> None:
        self._root = str(Path(os.path.expanduser(path)).absolute())

    def url_of(self, name: str) -> str:
        """Return the absolute path."""
        return f"{self._root}/{name}"

    def holds(self, name: str, size_bytes: int) -> bool:
        """Whether there is a file of that size; one cut off by a crash has another."""
        try:
            return self.size(name) == size_bytes
        except FileNotFoundError:
            return False

    def size(self, name: str) -> int:
        """Return the size in bytes."""
        return os.path.getsize(self.url_of(name))

    def read(self, name: str) -> bytes:
        """Return all the bytes."""
        return Path(self.url_of(name)).read_bytes()

    @contextmanager
    def copy(self, name: str) -> Iterator[tuple[Path, str]]:
        """Give the file itself, and its SHA-256."""
        path = Path(self.url_of(name))
        yield path, sha256_of(path)

    def write(self, name: str, data: bytes) -> None:
        """Write a file and move it into place."""
        with tempfile.NamedTemporaryFile(dir=self.scratch(), delete=False) as file:
            try:
                file.write(data)
                file.close()
                self._move_in(file.name, name)
            except BaseException:
                Path(file.name).unlink(missing_ok=True)
                raise

    def add(self, name: str, source: Path | bytes) -> None:
        """Move ``source`` (or a file with its bytes) into place; the last of several writers wins."""
        if isinstance(source, bytes):
            self.write(name, source)
        else:
            os.chmod(source, 0o600)  # an object is its owner's, whatever the umask of who wrote it
            self._move_in(str(source), name)

    def replace(self, name: str, source: Path) -> None:
        """Move ``source``, a file of the same file system, into place."""
        self._move_in(str(source), name)

    def names(self, folder: str) -> list[str]:
        """Return the files below ``folder``."""
        top = os.path.join(self._root, folder).rstrip("/")
        return [
            os.path.relpath(os.path.join(where, file), top)
            for where, _, files in os.walk(top, onerror=_refuse)
            for file in files
            if not file.startswith(".")
        ]

    def remove(self, name: str) -> None:
        """Remove a file."""
        os.unlink(self.url_of(name))

    def remove_all(self, folder: str) -> None:
        """Remove a folder."""
        shutil.rmtree(self.url_of(folder))

    def scratch(self) -> str:
        """Return a folder on the same file system, so that the move into place is atomic."""
        scratch = f"{self._root}/incoming"
        _make_private(scratch)
        return scratch

    def _move_in(self, source: str, name: str) -> None:
        path = self.url_of(name)
        _make_private(os.path.dirname(path))
        os.replace(source, path)


def _make_private(folder: str) -> None:
    """Make a folder and those above it that are missing, each for the user only."""
    if not os.path.exists(folder):
        _make_private(os.path.dirname(folder))
        os.makedirs(folder, mode=0o700, exist_ok=True)


def _refuse(error: OSError) -> None:
    if not isinstance(error, FileNotFoundError):
        raise error
