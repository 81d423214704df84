"""The folder of one stack: what lies where, and whether it can be used at all."""

from __future__ import annotations

import errno
import fcntl
import os
import shutil
import time
import uuid
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

from mltemporal.errors import InvalidRequest, StackError

LEAST_FREE_BYTES = 200 * 1024**2
_ELSEWHERE = "set MLTEMPORAL_HOME to a directory of yours on a local disk"


@dataclass(frozen=True)
class StackFiles:
    """The files of the stack in one home."""

    home: Path

    @property
    def folder(self) -> Path:
        """The folder that holds all of them."""
        return self.home / "stack"

    @property
    def lock(self) -> Path:
        """Held by the supervisor as long as it lives."""
        return self.folder / "lock"

    @property
    def change_lock(self) -> Path:
        """Held by whoever is starting or stopping the stack."""
        return self.folder / "change.lock"

    @property
    def server_lock(self) -> Path:
        """Held by the Temporal server itself, also when its supervisor is gone."""
        return self.folder / "temporal.lock"

    @property
    def worker_lock(self) -> Path:
        """Held by the stack's own worker itself, also when its supervisor is gone."""
        return self.folder / "worker.lock"

    @property
    def state(self) -> Path:
        """What runs, as the supervisor last wrote it."""
        return self.folder / "state.json"

    @property
    def ports(self) -> Path:
        """The ports that the server had last."""
        return self.folder / "ports.json"

    @property
    def deployed(self) -> Path:
        """The workers of other builds that were started beside the stack's own, a file each."""
        return self.folder / "deployed"

    @property
    def served(self) -> Path:
        """Which build served this home's own task queue last."""
        return self.folder / "served"

    def log(self, service: str) -> Path:
        """The log of ``supervisor``, ``temporal``, ``worker`` or ``worker-<build>``."""
        return self.folder / f"{service}.log"

    def server_database(self, server_version: str) -> Path:
        """The server's database; named by version because a server never migrates an older one's."""
        return self.folder / f"temporal-{server_version}.db"


def home_id(home: Path) -> str:
    """Return eight hexadecimal digits that tell this home from every other; written down on first use."""
    path = home / "id"
    try:
        return path.read_text()
    except FileNotFoundError:
        home.mkdir(mode=0o700, parents=True, exist_ok=True)
    new = path.with_name(f"id.{os.getpid()}.{uuid.uuid4().hex[:8]}")
    new.touch(mode=0o600)
    new.write_text(uuid.uuid4().hex[:8])
    with suppress(FileExistsError):
        os.link(new, path)  # whole or not at all, and the first of two stays
    new.unlink()
    return path.read_text()


def prepare_home(home: Path) -> StackFiles:
    """Create the folders (private to the user) and check that they can be used. Idempotent.

    Raises:
        InvalidRequest: ``home`` cannot be a directory.
        StackError: it cannot be written, or its disk is nearly full.
    """
    files = StackFiles(home)
    try:
        home.mkdir(mode=0o700, parents=True, exist_ok=True)
        files.folder.mkdir(mode=0o700, exist_ok=True)
        files.folder.chmod(0o700)
        files.change_lock.touch(mode=0o600)
        free_bytes = shutil.disk_usage(home).free
    except (FileExistsError, NotADirectoryError) as error:
        raise InvalidRequest(
            f"the home {str(home)!r} is not a directory: a file is in its place", _ELSEWHERE
        ) from error
    except OSError as error:
        raise _unusable(home, error) from error
    if free_bytes < LEAST_FREE_BYTES:
        raise StackError(
            f"the disk of the home {str(home)!r} is full: {free_bytes / 1024**2:.0f} MB are free, "
            f"{LEAST_FREE_BYTES / 1024**2:.0f} MB are needed",
            "free some space, or set MLTEMPORAL_HOME to a directory on another disk",
        )
    return files


def _unusable(home: Path, error: OSError) -> InvalidRequest | StackError:
    if error.errno == errno.ENAMETOOLONG:
        return InvalidRequest(f"the path of the home {str(home)[:80]!r}… is too long", _ELSEWHERE)
    if error.errno == errno.ENOSPC:
        return StackError(
            f"the disk of the home {str(home)!r} is full",
            "free some space, or set MLTEMPORAL_HOME to another disk",
        )
    return StackError(f"the home {str(home)!r} cannot be written: {error.strerror}", _ELSEWHERE)


def try_lock(path: Path) -> int | None:
    """Take the lock file and return its descriptor (closing it lets go); None when another holds it."""
    descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        os.close(descriptor)
        return None
    except OSError as error:
        os.close(descriptor)
        raise StackError(f"{str(path)!r} cannot be locked: {error.strerror}", _ELSEWHERE) from error
    return descriptor


def is_locked(path: Path) -> bool:
    """Whether some process holds the lock file."""
    if not path.exists():
        return False
    descriptor = try_lock(path)
    if descriptor is None:
        return True
    os.close(descriptor)
    return False


@contextmanager
def changing(files: StackFiles, wait_s: float) -> Iterator[None]:
    """Let one process at a time start or stop the stack.

    Raises:
        StackError: another one still does after ``wait_s`` seconds.
    """
    deadline = time.monotonic() + wait_s
    while (descriptor := try_lock(files.change_lock)) is None:
        if time.monotonic() > deadline:
            raise StackError(
                f"another process is still starting or stopping the stack of {str(files.home)!r}",
                f"look into {str(files.log('supervisor'))!r}",
            )
        time.sleep(0.02)
    try:
        yield
    finally:
        os.close(descriptor)
