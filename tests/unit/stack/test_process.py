"""A process is its id and its start."""

import os
import signal
import subprocess
import sys
from dataclasses import replace

from mltemporal.stack.process import ProcessId


def _sleeper(code: str = "pass") -> subprocess.Popen[bytes]:
    program = f"import signal, time; {code}; print('ready', flush=True); time.sleep(60)"
    child = subprocess.Popen([sys.executable, "-c", program], stdout=subprocess.PIPE)
    assert child.stdout is not None
    assert b"ready\n" == child.stdout.readline()
    child.stdout.close()
    return child


def test_a_running_process_is_alive_until_it_ends() -> None:
    child = _sleeper()
    process = ProcessId.of(child.pid)
    assert process is not None
    assert process.alive
    child.kill()
    child.wait()
    assert not process.alive
    assert ProcessId.of(child.pid) is None


def test_a_zombie_counts_as_gone() -> None:
    child = _sleeper()
    process = ProcessId.of(child.pid)
    assert process is not None
    child.kill()
    assert process.wait(5)
    child.wait()


def test_another_process_under_the_same_id_is_neither_alive_nor_signalled() -> None:
    me = ProcessId.of(os.getpid())
    assert me is not None
    other = replace(me, started="long ago")
    assert not other.alive
    other.send(signal.SIGKILL)
    assert other.stop(grace_s=0)


def test_a_process_that_ignores_sigterm_is_killed_after_its_grace() -> None:
    child = _sleeper("signal.signal(signal.SIGTERM, signal.SIG_IGN)")
    process = ProcessId.of(child.pid)
    assert process is not None
    assert process.stop(grace_s=0.1)
    assert -signal.SIGKILL == child.wait()


def test_stopping_twice_does_no_harm() -> None:
    child = _sleeper()
    process = ProcessId.of(child.pid)
    assert process is not None
    assert process.stop(grace_s=5)
    assert -signal.SIGTERM == child.wait()
    assert process.stop(grace_s=5)
