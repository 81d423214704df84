"""What does one worker cost that follows many Kubernetes Jobs at once?

Starts so many jobs on the stand-in cluster (real HTTP; pods only print a progress line each second),
waits until all run, and looks at the worker for a while: threads, connections, memory, CPU, and what
it asks of the API server. The floor: three watches in all, and a create, a followed log and a delete
for each Job. With ``--real`` it is the cluster of ``tests/services/kubernetes.py``, with an image that
has a shell; then the requests are what the API server's own metrics count.
"""

from __future__ import annotations

import argparse
import os
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

import pandas as pd
import psutil
from own_stack import own_stack
from table import machine

import mltemporal

sys.path.insert(0, str(Path(__file__).parents[1] / "tests"))

from services.kubernetes import REAL, STORAGE_SECRET, close_place, open_place
from services.s3 import S3Server

TABLE = pd.DataFrame({"x": range(100), "y": [i % 2 for i in range(100)]})
OURS = ("jobs", "pods", "pods/log", "events", "services")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--jobs", type=int, default=200)
    parser.add_argument("--seconds", type=int, default=30, help="how long to look")
    parser.add_argument("--real", metavar="IMAGE", help="use KUBECONFIG's cluster; an image with sh")
    arguments = parser.parse_args()
    print(machine())
    steps = 3_600  # long enough for the slowest start; they are cancelled in the end
    place = _real(arguments.real) if arguments.real else _stand_in(steps)
    with place as (environ, requests), own_stack(environ):
        _measure(arguments.jobs, arguments.seconds, steps, environ["MLTEMPORAL_IMAGE"], requests)


def _measure(
    count: int, look_s: int, steps: int, image: str, requests: Callable[[], Mapping[tuple[str, str], int]]
) -> None:
    worker = psutil.Process(mltemporal.status().workers[0].pid)
    idle_mib, idle_threads = worker.memory_info().rss / 2**20, worker.num_threads()
    report = "echo '::mltemporal::{\"step\": '$i'}'"
    script = f"i=0; while [ $i -lt {steps} ]; do i=$((i+1)); {report}; sleep 1; done"
    container = mltemporal.Container(image, command=["sh", "-c", script])
    before, began = requests(), time.monotonic()
    jobs = [mltemporal.train(TABLE, container, name=f"job {i}", force=True) for i in range(count)]
    launched_s = time.monotonic() - began
    _until(lambda: _running() >= count)
    running_s = time.monotonic() - began
    points, cpu, asked, at = _points(), sum(worker.cpu_times()[:2]), requests(), time.monotonic()
    time.sleep(look_s)
    seconds = time.monotonic() - at
    now = requests()
    cpu_share = (sum(worker.cpu_times()[:2]) - cpu) / seconds
    rate = (_points() - points) / seconds
    connections = _connections(worker)
    threads, rss_mib = worker.num_threads(), worker.memory_info().rss / 2**20
    while_running = sum(now[key] - asked.get(key, 0) for key in now if key[1] in OURS)
    for job in jobs:
        job.cancel()
    for job in jobs:
        job.wait(600)
    total = requests()
    each = {key: n for key in total if key[1] in OURS and (n := total[key] - before.get(key, 0))}
    floor = 3 * count + 3
    print(f"\n{count} jobs: launched in {launched_s:.1f} s, all running after {running_s:.1f} s")
    rows = [
        ("points recorded a second", f"{rate:.0f}", f"{count} printed", f"{rate / count:.2f}"),
        (
            "API connections",
            str(connections),
            f"{count + 3} (a log each, 3 watches)",
            f"{connections / (count + 3):.2f}",
        ),
        ("API requests in all", str(sum(each.values())), f"{floor}", f"{sum(each.values()) / floor:.2f}"),
        ("API requests while they run", str(while_running), "3 watches, renewed each minute", ""),
        ("threads", str(threads), f"{idle_threads} idle", f"{threads / idle_threads:.2f}"),
        ("memory, MiB", f"{rss_mib:.0f}", f"{idle_mib:.0f} idle", f"{rss_mib / idle_mib:.2f}"),
        ("CPU, cores", f"{cpu_share:.2f}", f"{1000 * cpu_share / count:.1f} ms a job and second", ""),
    ]
    print(f"  {'worker':<28}{'':>8}  {'beside':<36}ratio")
    for what, ours, floor_text, ratio in rows:
        print(f"  {what:<28}{ours:>8}  {floor_text:<36}{ratio}")
    print("  requests: " + ", ".join(f"{verb} {what} {n}" for (verb, what), n in sorted(each.items())))


@contextmanager
def _stand_in(steps: int) -> Iterator[tuple[dict[str, str], Callable[[], Mapping[tuple[str, str], int]]]]:
    from mltemporal.testing.cluster import Cluster

    folder = Path(tempfile.mkdtemp(prefix="mltemporal-benchmark-s3-"))
    s3 = S3Server(folder).start()
    try:
        with Cluster(run="simulated", simulated_steps=steps, simulated_interval_s=1.0) as cluster:
            cluster.images.add("benchmark:1")
            place = open_place(
                cluster.kubeconfig, "benchmark:1", "s3://data/benchmark", s3.environ(), real=False
            )
            yield {**s3.environ(), **_environ(place)}, lambda: dict(cluster.request_counts)
            close_place(place)
    finally:
        s3.stop()


@contextmanager
def _real(image: str) -> Iterator[tuple[dict[str, str], Callable[[], Mapping[tuple[str, str], int]]]]:
    kubeconfig, _, storage = (os.environ[name] for name in REAL)
    place = open_place(kubeconfig, image, storage, dict(os.environ), real=True)
    client = place.client

    def requests() -> dict[tuple[str, str], int]:
        response = client.call_api("/metrics", "GET", auth_settings=["BearerToken"], _preload_content=False)
        text = (response[0] if isinstance(response, tuple) else response).data.decode()
        return _from_metrics(text)

    try:
        yield _environ(place), requests
    finally:
        close_place(place)


def _from_metrics(text: str) -> dict[tuple[str, str], int]:
    """Return the API server's own counts of requests for Jobs and logs, whoever asked."""
    import re

    found: dict[tuple[str, str], int] = {}
    for labels, value in re.findall(r"^apiserver_request_total\{(.*?)\} ([0-9.e+]+)$", text, re.MULTILINE):
        label = dict(re.findall(r'(\w+)="(.*?)"', labels))
        what = "/".join(filter(None, (label["resource"], label["subresource"])))
        if (label["verb"], what) in {
            ("POST", "jobs"),
            ("PATCH", "jobs"),
            ("DELETE", "jobs"),
            ("CONNECT", "pods/log"),
        }:
            key = (label["verb"].lower(), what)
            found[key] = found.get(key, 0) + int(float(value))
    return found


def _environ(place: object) -> dict[str, str]:
    return {
        "KUBECONFIG": place.kubeconfig,  # type: ignore[attr-defined]
        "MLTEMPORAL_STORAGE_URL": place.storage_url,  # type: ignore[attr-defined]
        "MLTEMPORAL_BACKEND": "kubernetes",
        "MLTEMPORAL_IMAGE": place.image,  # type: ignore[attr-defined]
        "MLTEMPORAL_KUBERNETES_NAMESPACE": place.namespace,  # type: ignore[attr-defined]
        "MLTEMPORAL_KUBERNETES_STORAGE_SECRET": STORAGE_SECRET,
    }


def _running() -> int:
    return len(mltemporal.jobs(status="running", limit=10_000))


def _points() -> int:
    import sqlalchemy as sa

    from mltemporal import session
    from mltemporal.database.tables import points

    with session.current().database.reading() as connection:
        return connection.scalar(sa.select(sa.func.count()).select_from(points)) or 0


def _connections(worker: psutil.Process) -> int:
    """The worker's connections to the API server."""
    from urllib.parse import urlsplit

    from kubernetes.config import new_client_from_config

    port = urlsplit(new_client_from_config(config_file=os.environ["KUBECONFIG"]).configuration.host).port
    return sum(1 for each in worker.net_connections() if each.raddr and each.raddr.port == port)


def _until(reached: Callable[[], bool], within_s: float = 900) -> None:
    deadline = time.monotonic() + within_s
    while not reached():
        if time.monotonic() > deadline:
            raise SystemExit("waited in vain")
        time.sleep(0.5)


if __name__ == "__main__":
    main()
