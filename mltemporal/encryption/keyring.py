"""The keys of one home or one team: a file that only its owner can read."""

from __future__ import annotations

import base64
import fcntl
import json
import os
import stat
import time
import uuid
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field, replace
from pathlib import Path

from mltemporal.errors import InvalidRequest, NotFound

KEY_BYTES = 32
"""AES-256."""

_REMEDY = "ask whoever made the keys for the file, or put one away and run `mltemporal keys create`"


@dataclass(frozen=True, kw_only=True)
class Key:
    """One key. Its text never holds the secret."""

    id: str
    created_at: float
    """Seconds since the epoch."""
    encrypts_from: float
    """From when on it encrypts; until then it only decrypts, so that everybody can be given it first."""
    secret: bytes = field(repr=False)


class Keyring:
    """The keys in a file: the newest encrypts, each decrypts. Safe from several threads."""

    def __init__(self, path: Path, keys: Sequence[Key], mark: tuple[int, ...] = ()) -> None:
        self._path = path
        self._keys = tuple(keys)
        self._mark = mark

    def __repr__(self) -> str:
        return f"Keyring({str(self._path)!r}, keys {', '.join(key.id for key in self._keys)})"

    @property
    def keys(self) -> tuple[Key, ...]:
        """All keys, the oldest first."""
        return self._keys

    @property
    def path(self) -> Path:
        """The file."""
        return self._path

    def newest(self, now: float | None = None) -> Key:
        """Return the key that encrypts now; a rotation by another process counts."""
        self._read_again()
        moment = time.time() if now is None else now
        due = [key for key in self._keys if key.encrypts_from <= moment]
        return due[-1] if due else self._keys[0]

    def find(self, key_id: str) -> Key | None:
        """Return a key by its id, None where there is none; one that was added meanwhile is found."""
        if found := self._get(key_id):
            return found
        self._read_again()
        return self._get(key_id)

    def _get(self, key_id: str) -> Key | None:
        return next((key for key in self._keys if key.id == key_id), None)

    def _read_again(self) -> None:
        """Take over what changed in the file. Where it cannot be read now, the keys known so far stay."""
        with suppress(OSError, InvalidRequest):
            if _mark(self._path) != self._mark:
                mark = _mark(self._path)
                self._keys, self._mark = read_keyring(self._path).keys, mark


def home_keyring(path: Path) -> Keyring:
    """Return the keyring of a home; creates it with a first key where there is none.

    Of several processes that create it at once, the first wins and all use its key. Idempotent.

    Raises:
        InvalidRequest: the file is not private, or is no keyring.
    """
    for _ in range(2):
        with suppress(FileNotFoundError):
            return read_keyring(path, private=True)
        path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        create_keyring(path)
    return read_keyring(path, private=True)


def create_keyring(path: Path) -> bool:
    """Write a keyring with one new key, whole or not at all; returns False where there is one already."""
    new = _written(path, [_new_key(time.time())])
    try:
        os.link(new, path)
    except FileExistsError:
        return False
    finally:
        new.unlink()
    return True


def read_keyring(path: Path, *, private: bool = False) -> Keyring:
    """Read a keyring.

    Args:
        path: the file.
        private: whether the user's group must not read it either, as in a home. A Secret that is
            mounted into a pod belongs to the pod's group.

    Raises:
        FileNotFoundError: there is none.
        InvalidRequest: others can read or change it, this user cannot read it, or it is no keyring.
    """
    try:
        mark = _mark(path)
        _check_private(path, private=private)
        text = path.read_bytes()
    except FileNotFoundError:
        raise
    except OSError as error:
        raise InvalidRequest(
            f"the keys in {str(path)!r} cannot be read: {error.strerror}", _REMEDY
        ) from error
    return Keyring(path, _parsed(path, text), mark)


def rotate(path: Path, *, delay_s: float = 0.0) -> Key:
    """Add a key that encrypts after ``delay_s`` seconds; the older ones go on decrypting. Returns it.

    Raises:
        FileNotFoundError, InvalidRequest: as `read_keyring`, or the file cannot be written.
    """
    with _changing(path):
        keyring = read_keyring(path)
        now = time.time()
        key = replace(_new_key(now), encrypts_from=now + delay_s)
        _replace(path, [*keyring.keys, key])
    return key


def retire(path: Path, key_id: str) -> None:
    """Remove a key: what is sealed with it can never be opened again.

    Raises:
        NotFound: there is no such key.
        InvalidRequest: it is the newest, or the one that encrypts now.
        FileNotFoundError: there is no keyring.
    """
    with _changing(path):
        keyring = read_keyring(path)
        known = [key.id for key in keyring.keys]
        if key_id not in known:
            raise NotFound(f"there is no key {key_id!r} in {str(path)!r}", f"there are: {', '.join(known)}")
        if key_id in (known[-1], keyring.newest().id):
            raise InvalidRequest(
                f"the key {key_id!r} is in use: what is sent now is sealed with it",
                "run `mltemporal keys rotate` first",
            )
        _replace(path, [key for key in keyring.keys if key.id != key_id])


def _new_key(now: float) -> Key:
    return Key(id=f"k{uuid.uuid4().hex[:8]}", created_at=now, encrypts_from=now, secret=os.urandom(KEY_BYTES))


def _mark(path: Path) -> tuple[int, ...]:
    found = path.stat()
    return found.st_mtime_ns, found.st_ino, found.st_size


def _check_private(path: Path, *, private: bool) -> None:
    found = path.stat()
    if not stat.S_ISREG(found.st_mode):
        raise InvalidRequest(f"{str(path)!r} is no file", _REMEDY)
    forbidden = 0o077 if private else 0o027
    if found.st_mode & forbidden:
        who = "others" if found.st_mode & 0o007 else "the group"
        raise InvalidRequest(
            f"the keys in {str(path)!r} can be used by {who} (mode {stat.S_IMODE(found.st_mode):04o})",
            f"run `chmod 600 {path}` (in a pod: defaultMode 0400), and `mltemporal keys rotate` "
            "if somebody may have read them",
        )
    if found.st_uid not in (os.geteuid(), 0):
        raise InvalidRequest(f"the keys in {str(path)!r} belong to another user (id {found.st_uid})", _REMEDY)


def _parsed(path: Path, text: bytes) -> list[Key]:
    try:
        keys = [
            Key(
                id=str(each["id"]),
                created_at=float(each["created_at"]),
                encrypts_from=float(each["encrypts_from"]),
                secret=base64.b64decode(each["secret"], validate=True),
            )
            for each in json.loads(text)["keys"]
        ]
    except (ValueError, KeyError, TypeError):
        keys = []  # and the error of the parser stays unsaid: it may quote the secret
    if not keys or any(len(key.secret) != KEY_BYTES or not key.id.isalnum() for key in keys):
        raise InvalidRequest(f"{str(path)!r} is no keyring", _REMEDY) from None
    return sorted(keys, key=lambda key: key.encrypts_from)


def _written(path: Path, keys: Sequence[Key]) -> Path:
    """Write the keys beside ``path``, readable by the user only, and return where."""
    new = path.with_name(f"{path.name}.{os.getpid()}.{uuid.uuid4().hex[:8]}")
    content = {
        "keys": [
            {
                "id": key.id,
                "created_at": key.created_at,
                "encrypts_from": key.encrypts_from,
                "secret": base64.b64encode(key.secret).decode(),
            }
            for key in keys
        ]
    }
    try:
        with open(os.open(new, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w") as file:
            file.write(json.dumps(content, indent=1))
            file.flush()
            os.fsync(file.fileno())
    except OSError as error:
        new.unlink(missing_ok=True)
        raise InvalidRequest(
            f"the keys in {str(path)!r} cannot be written: {error.strerror}",
            "run this where the file can be changed; a Secret is changed by `kubectl`",
        ) from error
    return new


def _replace(path: Path, keys: Sequence[Key]) -> None:
    _written(path, keys).replace(path)


@contextmanager
def _changing(path: Path) -> Iterator[None]:
    """Let one process at a time change the file: the later of two rotations keeps the earlier one's key."""
    descriptor = os.open(path.parent, os.O_RDONLY | os.O_DIRECTORY)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX)
        yield
    finally:
        os.close(descriptor)
