import errno
import math
import os
import subprocess
import sys
import threading
from collections.abc import Callable

import numpy as np
import pytest

from mltemporal.errors import InvalidRequest
from mltemporal.progress import MAX_LINE_BYTES, Line
from mltemporal.runtime import reporting
from mltemporal.runtime.context import JOB_VARIABLE, Job
from mltemporal.runtime.reporting import report

Told = Callable[[], list[Line]]
Read = Callable[[str], list[Line]]


def test_a_report_outside_a_job_only_prints(capsys: pytest.CaptureFixture[str]) -> None:
    report(step=3, total=10, loss=0.125)

    assert "step 3/10  loss=0.125\n" == capsys.readouterr().out


def test_a_report_in_a_job_is_one_line_on_standard_output(job: Job, told: Told) -> None:
    report(step=3, total=10, loss=0.125)

    [line] = told()
    assert (3, 10, {"loss": 0.125}) == (line.step, line.total, line.metrics)


def test_numbers_of_other_libraries_are_taken_and_those_that_json_lacks_become_null(
    job: Job, told: Told
) -> None:
    report(
        step=np.int64(2),
        total=4.0,
        a=np.float32(0.5),
        b=np.array(1.5),
        c=math.nan,
        d=-math.inf,
        e=10**400,
        f=True,
    )

    [line] = told()
    assert (2, 4) == (line.step, line.total)
    assert {"a": 0.5, "b": 1.5, "c": None, "d": None, "e": None, "f": 1.0} == line.metrics


@pytest.mark.parametrize("step", [-1, 1.5, True, "3", [1], math.nan])
def test_a_step_that_is_no_whole_number_is_refused(step: object) -> None:
    with pytest.raises(InvalidRequest, match=r"step=.* is no whole number from 0"):
        report(step=step)  # type: ignore[arg-type]


@pytest.mark.parametrize("value", ["0.5", None, [1, 2], np.array([1.0, 2.0]), {}, 1j])
def test_a_metric_that_is_no_number_is_refused_by_name(value: object) -> None:
    with pytest.raises(InvalidRequest, match="metric 'loss' is no number"):
        report(loss=value)  # type: ignore[arg-type]


def test_too_many_metrics_for_a_line_go_out_as_several_lines_of_the_same_step(
    job: Job, capfd: pytest.CaptureFixture[str], read_lines: Read
) -> None:
    metrics = {f"metric_{i:04}": i / 7 for i in range(1000)}

    report(step=5, **metrics)

    out = capfd.readouterr().out
    assert all(len(text) < MAX_LINE_BYTES for text in out.splitlines())
    lines = read_lines(out)
    assert {5} == {line.step for line in lines}
    assert metrics == {name: value for line in lines for name, value in line.metrics.items()}


def test_a_name_that_no_line_holds_is_refused() -> None:
    with pytest.raises(InvalidRequest, match="has 201 characters"):
        report(**{"x" * 201: 1.0})


def test_the_longest_name_fits_a_line_whatever_its_characters(job: Job, told: Told) -> None:
    report(step=1, **{"\x00" * 200: 1.0})

    assert 1 == len(told())


def test_reports_of_many_threads_come_out_whole(job: Job, told: Told) -> None:
    def work(number: int) -> None:
        for step in range(100):
            report(step=step, **{f"thread_{number}": 1.0})

    threads = [threading.Thread(target=work, args=(number,)) for number in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert 800 == len(told())


def test_a_long_note_is_shortened_on_the_line_and_kept_whole_with_the_result(job: Job, told: Told) -> None:
    reporting.note("é" * 5000)

    [line] = told()
    assert ("note", 600) == (line.event, len(line.text))
    assert ("é" * 5000,) == reporting.notes()


def test_a_child_process_of_a_job_reports_to_it(job: Job, read_lines: Read) -> None:
    code = (
        "import mltemporal; mltemporal.report(step=7, loss=1); mltemporal.checkpoint.save('from the child')"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], env={**os.environ}, capture_output=True, text=True, check=True
    )

    assert [7] == [line.step for line in read_lines(done.stdout)]
    from mltemporal.runtime import checkpoint

    assert "from the child" == checkpoint.load()


def test_what_is_held_back_comes_out_when_the_process_ends(job: Job, read_lines: Read) -> None:
    code = "import mltemporal\nfor i in range(50_000): mltemporal.report(step=i, loss=i)"
    done = subprocess.run(
        [sys.executable, "-c", code], env={**os.environ}, capture_output=True, text=True, check=True
    )

    lines = read_lines(done.stdout)
    assert 49_999 == lines[-1].step
    assert 2000 < len(lines) < 2500
    assert 50_000 == len(lines) + lines[-1].dropped


def test_code_that_redirects_standard_output_changes_nothing(job: Job, read_lines: Read) -> None:
    code = (
        "import os, sys, io, contextlib, mltemporal\n"
        "from mltemporal.runtime import reporting\n"
        "reporting.open_output()\n"
        "null = os.open(os.devnull, os.O_WRONLY); os.dup2(null, 1)\n"
        "with contextlib.redirect_stdout(io.StringIO()): mltemporal.report(step=1)\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], env={**os.environ}, capture_output=True, text=True, check=True
    )

    assert [1] == [line.step for line in read_lines(done.stdout)]
    assert JOB_VARIABLE in os.environ


def test_a_forked_child_reports_too(job: Job, read_lines: Read) -> None:
    code = (
        "import os, mltemporal\n"
        "for i in range(3000): mltemporal.report(step=i)\n"
        "if os.fork() == 0:\n"
        "    mltemporal.report(step=9999); os._exit(0)\n"
        "os.wait()\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], env={**os.environ}, capture_output=True, text=True, check=True
    )

    steps = [line.step for line in read_lines(done.stdout)]
    assert 1 == steps.count(9999)
    assert 2999 == steps[-1]


def test_a_full_disk_is_waited_for_once_and_then_reports_are_left_out(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    read, write = os.pipe()
    full = [True, True]

    def out_of_room(descriptor: int, line: bytes) -> int:
        if full and full.pop():
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        return true_write(descriptor, line[:5])  # and not all at once

    true_write = os.write
    monkeypatch.setattr(os, "write", out_of_room)
    monkeypatch.setattr(reporting, "_FULL_PAUSE_S", 0.001)
    say = reporting._writer(write)
    say({"event": "report", "time": 1.0, "step": 1, "metrics": {"loss": 0.5}})
    assert os.read(read, 4096).endswith(b"\n")

    full.extend([True] * 100)
    monkeypatch.setattr(reporting.context, "STORAGE_PATIENCE_S", 0.0)
    say = reporting._writer(write)
    with pytest.raises(OSError, match="No space left"):
        say({"event": "report", "time": 1.0, "step": 2, "metrics": {}})
    assert 99 == len(full)
