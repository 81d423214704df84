"""The ``mltemporal`` command."""

import re
import subprocess
import sys
from pathlib import Path

import pytest

from mltemporal.cli import main
from mltemporal.cli.runs import table
from mltemporal.database.engine import HEAD
from mltemporal.version import __version__


@pytest.fixture(autouse=True)
def _home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MLTEMPORAL_HOME", str(tmp_path / "home"))
    monkeypatch.setenv("MLTEMPORAL_TEMPORAL", "embedded")


def test_help_names_every_command_and_loads_nothing_heavy() -> None:
    program = (
        "import contextlib, sys\n"
        "from mltemporal.cli import main\n"
        "with contextlib.suppress(SystemExit):\n"
        "    main(['--help'])\n"
        "print(sorted({'temporalio', 'sqlalchemy', 'pandas', 'nbclient', 'asyncio'} & set(sys.modules)))"
    )
    result = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    lines = [line for line in result.stdout.splitlines() if re.match(r"    \w", line)]
    services = ["up", "down", "status", "worker", "doctor", "demo", "runs", "db"]
    assert [*services, "replay", "versions", "keys", "codec-server"] == [line.split()[0] for line in lines]
    assert result.stdout.endswith("[]\n")


@pytest.mark.parametrize("arguments", [[], ["nope"], ["runs", "--limit", "0"], ["db"], ["db", "drop"]])
def test_wrong_usage_ends_with_exit_code_2(arguments: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as caught:
        main(arguments)
    assert 2 == caught.value.code
    assert capsys.readouterr().err.startswith("usage: mltemporal")


def test_the_version_is_shown(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as caught:
        main(["--version"])
    assert 0 == caught.value.code
    assert f"mltemporal {__version__}\n" == capsys.readouterr().out


def test_an_error_is_told_without_a_traceback(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MLTEMPORAL_WEB_PORT", "many")
    assert 1 == main(["status"])
    assert (
        "mltemporal: MLTEMPORAL_WEB_PORT='many' is not a whole number from 1 to 65535\n"
        "Next step: set MLTEMPORAL_WEB_PORT to such a number, or unset it for the default\n"
    ) == capsys.readouterr().err


def test_an_interrupt_is_told_without_a_traceback(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    def interrupted() -> int:
        raise KeyboardInterrupt

    monkeypatch.setattr("mltemporal.cli.services.status", interrupted)
    assert 130 == main(["status"])
    assert "mltemporal: interrupted\n" == capsys.readouterr().err


def test_status_and_down_without_a_stack(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    assert 1 == main(["status"])
    assert "stack       not running" == capsys.readouterr().out.splitlines()[0]
    assert 0 == main(["down"])
    assert f"no stack runs in the home {tmp_path / 'home'}\n" == capsys.readouterr().out


def test_the_schema_is_upgraded_and_shown(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    assert 1 == main(["db", "status"])
    assert "Next step: run `mltemporal up`, or `mltemporal db upgrade`" in capsys.readouterr().err
    assert 0 == main(["db", "upgrade"])
    upgraded = capsys.readouterr().out
    assert f"schema {HEAD} in sqlite:///{tmp_path / 'home' / 'mltemporal.db'}\n" == upgraded
    assert 0 == main(["db", "status"])
    assert upgraded == capsys.readouterr().out


def test_no_runs_is_no_error(capsys: pytest.CaptureFixture[str]) -> None:
    main(["db", "upgrade"])
    capsys.readouterr()
    assert 0 == main(["runs"])
    assert "no runs yet; `mltemporal demo` makes one\n" == capsys.readouterr().out


def test_the_doctor_says_what_to_do_and_fails_when_something_is_wrong(
    capsys: pytest.CaptureFixture[str],
) -> None:
    assert 1 == main(["doctor"])
    out = capsys.readouterr().out
    assert "problem  stack: not running\n         Next step: run `mltemporal up`" in out
    assert "ok       storage: " in out


def test_a_table_is_aligned() -> None:
    rows = [("ID", "NAME", "TIME"), ("1", "churn", ""), ("12", "a", "3.0 s")]
    assert ["ID  NAME   TIME", "1   churn", "12  a      3.0 s"] == table(rows)
