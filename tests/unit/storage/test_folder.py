"""What only a directory can do, or do wrong."""

import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from mltemporal.errors import ServiceUnavailable
from mltemporal.specs.running import Attempt
from mltemporal.storage.content import Storage

DATA = b"some bytes" * 1000
ATTEMPT = Attempt(job_id=7, number=2)
Files = Callable[[Storage], list[str]]


def test_what_is_written_is_private(local: Storage) -> None:
    ref = local.put_bytes(DATA)
    local.put_note("training-1", "spec", ATTEMPT)
    for path in (Path(local.url_of(ref)), Path(local.url, "jobs/training-1/spec.json")):
        assert 0 == path.stat().st_mode & 0o077


def test_a_store_that_cannot_be_written_is_named_with_the_reason(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    storage = Storage(str(tmp_path / "file" / "storage"))
    for write in (
        lambda: storage.put_bytes(DATA),
        lambda: storage.put_note("training-1", "spec", ATTEMPT),
        storage.check,
    ):
        with pytest.raises(ServiceUnavailable) as caught:
            write()
        assert f"storage {storage.url!r} could not " in caught.value.what
        assert "Not a directory" in caught.value.what
        assert "check free space, permissions and that the store can be reached" == caught.value.next_step


def test_a_full_disk_is_told_and_leaves_nothing(local: Storage, files: Files) -> None:
    """A process that may write no file above 64 KiB stands for a disk without room."""
    program = (
        "import resource, signal, sys\n"
        "from mltemporal.errors import ServiceUnavailable\n"
        "from mltemporal.storage.content import Storage\n"
        "signal.signal(signal.SIGXFSZ, signal.SIG_IGN)\n"
        "resource.setrlimit(resource.RLIMIT_FSIZE, (65536, 65536))\n"
        "storage = Storage(sys.argv[1])\n"
        "for write in (lambda: storage.put_bytes(bytes(1 << 20)),\n"
        "              lambda: storage.put_note('training-1', 'spec', 'x' * (1 << 20))):\n"
        "    try:\n        write()\n"
        "    except ServiceUnavailable as error:\n        print(error.what)\n"
        "with storage.writing(format='bytes') as written:\n"
        "    pass_through = written\n"
        "    written.path.write_bytes(bytes(1 << 20))\n"
    )
    result = subprocess.run(
        [sys.executable, "-c", program, local.url], capture_output=True, text=True, check=False
    )
    assert [
        f"storage {local.url!r} could not write an object: [Errno 27] File too large",
        f"storage {local.url!r} could not write a note: [Errno 27] File too large",
    ] == result.stdout.splitlines()
    assert "ServiceUnavailable: storage" in result.stderr
    assert [] == files(local)
