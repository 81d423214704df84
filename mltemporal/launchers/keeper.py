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


def main(folder: str) -> int:
    """Run the order in ``folder`` once; does nothing where it runs, or ran, already."""
    lock = os.open(f"{folder}/lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return 0
    if os.path.exists(f"{folder}/process.json") or os.path.exists(f"{folder}/exit.json"):
        return 0
    # A handler, not SIG_IGN: the training must not inherit that SIGTERM is ignored.
    signal.signal(signal.SIGTERM, lambda *_: None)
    with open(f"{folder}/order.json", encoding="utf-8") as file:
        order = json.load(file)
    output = os.open(f"{folder}/output.log", os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
    try:
        training = subprocess.Popen(
            order["argv"],
            cwd=order["cwd"],
            env=order["env"],
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=output,
            start_new_session=True,  # a process group of its own: signals reach it and its children
            pass_fds=(lock,),
        )
    except OSError as error:
        os.write(output, f"the training could not be started: {error}\n".encode())
        write_json(f"{folder}/exit.json", {"code": 127})
        return 0
    write_json(
        f"{folder}/process.json",
        {
            "keeper": [os.getpid(), start_mark(os.getpid())],
            "training": [training.pid, start_mark(training.pid)],
        },
    )
    os.waitid(os.P_PID, training.pid, os.WEXITED | os.WNOWAIT)
    # The ended training still holds its id, so the group is certainly its own. It may be empty.
    with contextlib.suppress(ProcessLookupError, PermissionError):
        os.killpg(training.pid, signal.SIGKILL)
    write_json(f"{folder}/exit.json", {"code": training.wait()})
    return 0


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
    with open(
        os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "w", encoding="utf-8"
    ) as file:
        json.dump(value, file)
    os.replace(temporary, path)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1]))
