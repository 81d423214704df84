"""Logs that stay short."""

from pathlib import Path

from mltemporal.stack.logs import rotate, tail


def test_a_short_log_is_left_alone(tmp_path: Path) -> None:
    log = tmp_path / "worker.log"
    log.write_text("short")
    rotate(log, max_bytes=10)
    assert ["worker.log"] == [path.name for path in tmp_path.iterdir()]


def test_a_writer_goes_on_in_the_emptied_log(tmp_path: Path) -> None:
    log = tmp_path / "worker.log"
    with log.open("a") as writer:
        for line in ("first", "second", "third", "fourth", "fifth"):
            writer.write(f"{line}\n")
            writer.flush()
            rotate(log, max_bytes=1)
        writer.write("last\n")
    texts = {path.name: path.read_text() for path in tmp_path.iterdir()}
    expected = {
        "worker.log": "last\n",
        "worker.log.1": "fifth\n",
        "worker.log.2": "fourth\n",
        "worker.log.3": "third\n",
    }
    assert expected == texts


def test_a_missing_log_is_no_error(tmp_path: Path) -> None:
    rotate(tmp_path / "none.log")
    assert "" == tail(tmp_path / "none.log")


def test_the_tail_is_the_last_lines(tmp_path: Path) -> None:
    log = tmp_path / "worker.log"
    log.write_bytes(b"one\ntwo\nthr\xffee\n")
    assert "two\nthr�ee" == tail(log, 2)
