"""One supervised process: when it is started, when again, and how it is stopped."""

import signal
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from mltemporal.errors import StackError
from mltemporal.stack.service import Launch, Service

WAIT = "import time; print('started', flush=True); time.sleep(60)"
DEAF = f"import signal; signal.signal(signal.SIGTERM, signal.SIG_IGN); {WAIT}"


def _service(
    folder: Path, program: str, *, grace_s: float = 5.0, answers: Callable[[], bool] = lambda: True
) -> Service:
    launch = Launch(command=[sys.executable, "-c", program], environ={})
    return Service("test", lambda: launch, folder / "log", folder, answers=answers, grace_s=grace_s)


def _tend_until(service: Service, reached: Callable[[], bool]) -> None:
    deadline = time.monotonic() + 20
    while not reached():
        assert time.monotonic() < deadline, f"waited in vain: {service}"
        service.tend()
        time.sleep(0.01)


def test_a_service_is_running_once_it_answers(tmp_path: Path) -> None:
    answers = iter([False, False, True])
    service = _service(tmp_path, WAIT, answers=lambda: next(answers))
    states = []
    for _ in range(3):
        service.tend()
        states.append(service.state)
    assert ["starting", "starting", "running"] == states
    assert service.due_in_s is None
    service.stop()


def test_a_service_that_dies_is_started_again_after_pauses_that_double(tmp_path: Path) -> None:
    service = _service(tmp_path, "raise SystemExit(7)")
    pauses = []
    for failures in (1, 2, 3):
        _tend_until(service, lambda failures=failures: service.failures == failures)
        pauses.append(round(service.next_start - time.monotonic(), 1))
    assert [0.1, 0.2, 0.4] == pauses
    assert service.trouble.startswith("ended with exit code 7 after 0.")
    assert 3 == service.snapshot().restarts


def test_the_pause_never_exceeds_half_a_minute(tmp_path: Path) -> None:
    service = _service(tmp_path, "raise SystemExit(7)")
    service.failures = 50
    _tend_until(service, lambda: service.failures == 51)
    assert service.next_start - time.monotonic() == pytest.approx(30, abs=1)


def test_a_long_healthy_life_is_followed_by_the_shortest_pause(tmp_path: Path) -> None:
    service = _service(tmp_path, WAIT)
    service.tend()
    service.failures = 8
    service._started_at -= 61
    process = service.snapshot().process
    assert process is not None
    process.send(signal.SIGKILL)
    _tend_until(service, lambda: service.state == "restarting")
    assert 1 == service.failures
    assert service.trouble.startswith("was killed by SIGKILL after 61.")


def test_what_cannot_start_is_tried_again(tmp_path: Path) -> None:
    def launch() -> Launch:
        raise StackError("no port is free", "free one")

    service = Service("test", launch, tmp_path / "log", tmp_path)
    service.tend()
    assert "restarting" == service.state
    assert "cannot start: no port is free\nNext step: free one" == service.trouble


def test_a_missing_program_is_trouble_and_no_crash(tmp_path: Path) -> None:
    launch = Launch(command=[str(tmp_path / "missing")], environ={})
    service = Service("test", lambda: launch, tmp_path / "log", tmp_path)
    service.tend()
    assert service.trouble.startswith("cannot start: [Errno 2]")


def test_a_service_that_does_not_listen_is_killed_after_its_grace(tmp_path: Path) -> None:
    service = _service(tmp_path, DEAF, grace_s=0.1)
    _tend_until(service, lambda: (tmp_path / "log").exists() and "started" in (tmp_path / "log").read_text())
    process = service.snapshot().process
    assert process is not None
    service.stop()
    assert not process.alive
    assert "stopped" == service.state


def test_output_is_appended_to_the_log_which_is_private(tmp_path: Path) -> None:
    service = _service(tmp_path, "print('once')")
    _tend_until(service, lambda: service.restarts == 2)
    assert "once\nonce\n" == (tmp_path / "log").read_text()
    assert 0o600 == (tmp_path / "log").stat().st_mode & 0o777
