"""Move one object between a local file and S3, and print the seconds it took and the process's peak memory.

    move_objects.py storage|s3fs|boto3 put|get BUCKET KEY FILE

Server and keys are in the environment. What is imported, and the first connection, are not counted.
"""

import hashlib
import json
import os
import resource
import sys
import time
from collections.abc import Callable
from pathlib import Path

Move = Callable[[], object]


def storage(bucket: str, key: str, path: Path) -> tuple[Move, Move]:
    """Ours: named by its SHA-256 before, looked up after a put; verified after a get."""
    from mltemporal.specs.data import ObjectRef
    from mltemporal.storage.content import Storage

    ours = Storage(f"s3://{bucket}/{key}")
    ours.check()

    def put() -> None:
        with ours.writing(format="bytes") as written:
            os.link(path, written.path)

    def get() -> None:
        with ours.local_path(ref):
            pass

    with path.open("rb") as file:
        ref = ObjectRef(
            sha256=hashlib.file_digest(file, "sha256").hexdigest(), size_bytes=path.stat().st_size
        )
    return put, get


def s3fs(bucket: str, key: str, path: Path) -> tuple[Move, Move]:
    """As it is without any setting."""
    import s3fs as library

    files = library.S3FileSystem()
    files.ls(bucket)
    target = path.with_suffix(".back")
    return lambda: files.put_file(str(path), f"{bucket}/{key}"), lambda: files.get_file(
        f"{bucket}/{key}", str(target)
    )


def boto3(bucket: str, key: str, path: Path) -> tuple[Move, Move]:
    """As it is without any setting."""
    import boto3 as library

    client = library.client("s3", region_name=os.environ["AWS_REGION"])
    client.list_buckets()
    target = path.with_suffix(".back")
    return lambda: client.upload_file(str(path), bucket, key), lambda: client.download_file(
        bucket, key, str(target)
    )


def main() -> None:
    how, what, bucket, key, path = sys.argv[1:]
    put, get = {"storage": storage, "s3fs": s3fs, "boto3": boto3}[how](bucket, key, Path(path))
    begin = time.perf_counter()
    put() if what == "put" else get()
    seconds = time.perf_counter() - begin
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * (1 if sys.platform == "darwin" else 1024)
    print(json.dumps({"seconds": seconds, "peak_bytes": peak}))


if __name__ == "__main__":
    main()
