"""The small process that keeps one training: starts it, waits for it, writes down how it ended.

It runs as ``python keeper.py FOLDER``, detached from whoever started it, and imports only the
standard library, so that it starts in milliseconds and costs little memory. Files in the folder:

``order.json``    what to run: ``argv``, ``cwd``, ``env`` (mode 0600: an environment has secrets)
``lock``          held by the keeper *and* its training, so that one order is never run twice
``process.json``  keeper and training, each as ``[process id, start mark]``
``output.log``    what the training prints
``exit.json``     how it ended: ``{"code": …}``, negative for a signal
"""

from __future__ import annotations

import contextlib
import fcntl
import json
import os
import signal
import subprocess
import sys
from typing import Any


def main(folder: str) -> None:
    """Run the order in ``folder`` once; does nothing where it runs, or ran, already."""
    order = keep(folder)
    if order is not None:
        execute(order)


def keep(folder: str) -> dict[str, Any] | None:
    """Fork the process that is to be the training, and keep it.

    Returns twice: in the new process, at once, the order that it is to carry out; in the keeper,
    when everything is over (or there was nothing to do), None.
    """
    lock = os.open(f"{folder}/lock", os.O_RDWR | os.O_CREAT, 0o600)
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return None
    if os.path.exists(f"{folder}/process.json") or os.path.exists(f"{folder}/exit.json"):
        return None
    with open(f"{folder}/order.json", encoding="utf-8") as file:
        order: dict[str, Any] = json.load(file)
    settled, say_settled = os.pipe()
    written, say_written = os.pipe()
    training = os.fork()
    if training == 0:
        os.setsid()  # a group of its own, which signals reach from the moment that it is written down
        os.close(say_written)
        os.write(say_settled, b"!")
        if not os.read(written, 1):
            os._exit(1)  # the keeper is gone, and nobody would know of this process
        _settle(folder, closing=(settled, say_settled, written))
        os.set_inheritable(lock, True)  # held as long as the training lives, whatever becomes of the keeper
        return order
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    os.close(say_settled)
    os.read(settled, 1)
    mine = [os.getpid(), start_mark(os.getpid())]
    write_json(f"{folder}/process.json", {"keeper": mine, "training": [training, start_mark(training)]})
    os.write(say_written, b"!")
    write_json(f"{folder}/exit.json", {"code": _wait(training)})
    return None


def _wait(training: int) -> int:
    """Wait for the training's end, end what it left running, and return its exit code."""
    if hasattr(os, "waitid"):  # macOS has it from Python 3.13 on
        # The ended training still holds its id, so the group is certainly its own.
        os.waitid(os.P_PID, training, os.WEXITED | os.WNOWAIT)
        _end_group(training)
        return os.waitstatus_to_exitcode(os.waitpid(training, 0)[1])
    status = os.waitpid(training, 0)[1]
    _end_group(training)
    return os.waitstatus_to_exitcode(status)


def _end_group(group: int) -> None:
    with contextlib.suppress(ProcessLookupError, PermissionError):  # it may be empty
        os.killpg(group, signal.SIGKILL)


def _settle(folder: str, closing: tuple[int, ...]) -> None:
    """Give the new process its output file, and close what it has no use for."""
    nothing = os.open(os.devnull, os.O_RDONLY)
    output = os.open(f"{folder}/output.log", os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
    for source, target in ((nothing, 0), (output, 1), (output, 2)):
        os.dup2(source, target)
    for descriptor in (nothing, output, *closing):
        os.close(descriptor)


def execute(order: dict[str, Any]) -> None:
    """Become the program of the order; exit code 127 where it cannot be started."""
    try:
        os.chdir(order["cwd"])
        os.umask(order.get("umask", 0o022))
        os.execve(order["argv"][0], order["argv"], order["env"])  # noqa: S606  (no shell is meant)
    except OSError as error:
        os.write(2, f"the training could not be started: {error}\n".encode())
        os._exit(127)


def start_mark(pid: int) -> str | None:
    """Return when the process started, in a form that no clock change touches; None where it is gone.

    Together with the process id it names one process for ever: ids are used again, starts are not.
    """
    if os.path.exists("/proc/self/stat"):
        try:
            with open(f"/proc/{pid}/stat", encoding="utf-8", errors="replace") as file:
                fields = file.read().rpartition(")")[2].split()
            with open("/proc/sys/kernel/random/boot_id", encoding="utf-8") as file:
                boot = file.read().strip()
        except (FileNotFoundError, ProcessLookupError):
            return None
        return None if fields[0] in "ZX" else f"{boot}:{fields[19]}"
    shown = subprocess.run(
        ["/bin/ps", "-o", "stat=,lstart=", "-p", str(pid)], capture_output=True, text=True, check=False
    ).stdout.split(maxsplit=1)
    return None if not shown or shown[0].startswith("Z") else shown[1].strip()


def write_json(path: str, value: object) -> None:
    """Write the file whole or not at all, readable by its owner only."""
    temporary = f"{path}.{os.getpid()}.new"
    try:
        with open(
            os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "w", encoding="utf-8"
        ) as file:
            json.dump(value, file)
        os.replace(temporary, path)
    except OSError:  # a full disk: half of it is of no use to anybody
        with contextlib.suppress(OSError):
            os.unlink(temporary)
        raise


if __name__ == "__main__":
    main(sys.argv[1])
