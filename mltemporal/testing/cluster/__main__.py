"""``python -m mltemporal.testing.cluster --directory D``: serve until SIGTERM."""

from __future__ import annotations

import argparse
import os
import signal
import sys
import threading

from mltemporal.testing.cluster.cluster import Cluster


def main() -> None:
    """Write ``D/kubeconfig``, say where the API server is, serve until SIGTERM or SIGINT."""
    parser = argparse.ArgumentParser(prog="python -m mltemporal.testing.cluster", description=main.__doc__)
    parser.add_argument("--directory", required=True, help="for the kubeconfig and the pods' volumes")
    parser.add_argument(
        "--image", action="append", default=[], help="an image that nodes can have; repeatable"
    )
    parser.add_argument("--run", choices=["process", "simulated"], default="process")
    parser.add_argument("--simulated-steps", type=int, default=5)
    arguments = parser.parse_args()
    os.makedirs(arguments.directory, exist_ok=True)
    told = threading.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: told.set())
    cluster = Cluster(arguments.directory, run=arguments.run, simulated_steps=arguments.simulated_steps)
    cluster.images.update(arguments.image)
    with cluster:
        sys.stdout.write(f"{cluster.url}\n{cluster.kubeconfig}\n")
        sys.stdout.flush()
        told.wait()


if __name__ == "__main__":
    main()
