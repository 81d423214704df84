from mltemporal.errors import InvalidDataset, ServiceUnavailable
from mltemporal.runtime.failure import failure_of
from mltemporal.runtime.reporting import report


def caught(call):  # type: ignore[no-untyped-def]
    try:
        call()
    except BaseException as error:
        return error
    raise AssertionError


def test_an_error_of_ours_keeps_its_next_step_and_tells_whether_trying_again_helps() -> None:
    failure = failure_of(ServiceUnavailable("the store is away", "wait"))
    assert ("the store is away", "wait", True) == (failure.message, failure.next_step, failure.retryable)
    assert failure_of(InvalidDataset("bad", "mend it")).retryable is False
    assert failure_of(OSError(5, "I/O error")).retryable is False


def test_our_frames_below_the_users_are_cut_off_too() -> None:
    failure = failure_of(caught(lambda: report(loss="high")))  # type: ignore[arg-type]

    assert "metric 'loss' is no number" in failure.message
    assert "reporting.py" not in failure.traceback
    assert "test_failure.py" in failure.traceback


def test_causes_and_groups_are_told_without_our_frames() -> None:
    def fail() -> None:
        try:
            report(loss="high")  # type: ignore[arg-type]
        except ValueError as error:
            raise ExceptionGroup("several", [error, KeyError("x")]) from error

    told = failure_of(caught(fail)).traceback

    assert "reporting.py" not in told
    assert "KeyError: 'x'" in told


def test_a_text_that_holds_a_whole_table_is_shortened_in_the_middle() -> None:
    failure = failure_of(ValueError("begin" + "x" * 1_000_000 + "end"))

    assert (1999, "begin", "end") == (len(failure.message), failure.message[:5], failure.message[-3:])
    assert len(failure.traceback) < 51_000


def test_running_out_of_memory_says_what_to_do() -> None:
    assert "fewer rows" in failure_of(MemoryError()).next_step


def test_a_notebook_cell_is_called_what_a_person_calls_it() -> None:
    namespace: dict[str, object] = {}
    exec(compile("def fit():\n    raise ValueError('no')", "/tmp/ipykernel_12/345.py", "exec"), namespace)

    told = failure_of(caught(namespace["fit"])).traceback

    assert 'File "<notebook cell>", line 2, in fit' in told
    assert "ipykernel" not in told
