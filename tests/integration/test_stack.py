"""The embedded services with real processes; the worker is a stand-in that only waits."""

import asyncio
import json
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

import psutil
import pytest

from mltemporal.errors import InvalidRequest, StackError, VersionMismatch
from mltemporal.settings import Settings, load_settings
from mltemporal.stack import StackState, connect, doctor, down, state, status, up
from mltemporal.stack.home import StackFiles, is_locked
from mltemporal.stack.record import write_state

WAITING_WORKER = (
    sys.executable,
    "-c",
    "import signal, sys, time\n"
    "signal.signal(signal.SIGTERM, lambda *_: sys.exit(0))\n"
    "print('waiting', flush=True)\n"
    "while True: time.sleep(60)",
)


@pytest.fixture
def settings(tmp_path: Path) -> Iterator[Settings]:
    """A home of the test's own, where nothing runs yet."""
    yield from _home(tmp_path)


@pytest.fixture(scope="module")
def shared(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Settings]:
    """A home where a stack runs, for tests that leave it running."""
    for settings in _home(tmp_path_factory.mktemp("shared")):
        up(settings, worker_command=WAITING_WORKER)
        yield settings


def _home(folder: Path) -> Iterator[Settings]:
    settings = load_settings({"MLTEMPORAL_HOME": str(folder / "home"), "MLTEMPORAL_TEMPORAL": "embedded"})
    yield settings
    down(settings)
    assert [] == _processes_of(settings)


def test_the_second_call_attaches_to_what_the_first_started(shared: Settings) -> None:
    first = up(shared)
    took_s = []
    for _ in range(10):
        started = time.perf_counter()
        second = up(shared)
        took_s.append(time.perf_counter() - started)
        assert first.supervisor == second.supervisor
        assert first.temporal_address == second.temporal_address
    assert min(took_s) < 0.02, "other processes may be in the way of a few calls, not of all"


def test_two_processes_that_start_at_once_share_one_stack(settings: Settings) -> None:
    program = (
        "import json, sys\n"
        "from mltemporal.settings import load_settings\n"
        "from mltemporal.stack import up\n"
        "state = up(load_settings(), worker_command=json.loads(sys.argv[1]))\n"
        "print(state.supervisor.pid, state.temporal_address)\n"
    )
    command = [sys.executable, "-c", program, json.dumps(WAITING_WORKER)]
    environ = {**os.environ, **settings.environ()}
    kernels = [subprocess.Popen(command, env=environ, stdout=subprocess.PIPE, text=True) for _ in range(3)]
    answers = {kernel.communicate(timeout=60)[0] for kernel in kernels}
    assert 1 == len(answers)
    assert [0, 0, 0] == [kernel.returncode for kernel in kernels]
    assert 1 == len(_servers_of(settings))


def test_the_stack_outlives_the_process_that_started_it(shared: Settings) -> None:
    running = up(shared)
    supervisor = psutil.Process(running.supervisor.pid)
    assert os.getpid() not in [parent.pid for parent in supervisor.parents()]
    assert os.getsid(supervisor.pid) == supervisor.pid


def test_everything_listens_on_the_loopback_only(shared: Settings) -> None:
    running = up(shared)
    server = running.services["temporal"].process
    assert server is not None
    listening = [c for c in psutil.Process(server.pid).net_connections("tcp") if c.status == "LISTEN"]
    assert {"127.0.0.1"} == {connection.laddr.ip for connection in listening}


def test_what_is_written_is_private_to_the_user(shared: Settings) -> None:
    up(shared)
    files = StackFiles(shared.home)
    modes = {path.name: path.stat().st_mode & 0o777 for path in (shared.home, files.folder, files.state)}
    assert {"home": 0o700, "stack": 0o700, "state.json": 0o600} == modes


def test_a_killed_server_comes_back_at_its_address_with_its_data(shared: Settings) -> None:
    before = up(shared)

    restarts = before.services["temporal"].restarts

    async def workflow_is_still_there() -> bool:
        client = await connect(shared)
        handle = await client.start_workflow("Never", id="kept", task_queue="nobody")
        _kill(before, "temporal")
        described = await (await connect(shared)).get_workflow_handle("kept").describe()
        return described.run_id == handle.first_execution_run_id

    assert asyncio.run(workflow_is_still_there())
    after = _wait_for(shared, lambda now: now.ready and now.services["temporal"].restarts > restarts)
    assert before.temporal_address == after.temporal_address
    assert before.supervisor == after.supervisor
    assert "was killed by SIGKILL" in after.services["temporal"].trouble


def test_a_killed_worker_is_started_again(shared: Settings) -> None:
    before = up(shared)
    _kill(before, "worker")
    after = _wait_for(shared, lambda now: now.worker_pid not in (None, before.worker_pid))
    assert before.services["worker"].restarts + 1 == after.services["worker"].restarts


def test_a_worker_that_dies_at_once_is_started_ever_more_slowly(settings: Settings) -> None:
    up(settings, worker_command=(sys.executable, "-c", "raise SystemExit(3)"))
    now = _wait_for(settings, lambda now: now.services["worker"].failures >= 3)
    assert now.services["worker"].trouble.startswith("ended with exit code 3 after")
    log = StackFiles(settings.home).log("supervisor").read_text()
    assert "next start in 0.1 s" in log
    assert "next start in 0.4 s" in log


def test_after_a_killed_supervisor_the_next_start_replaces_what_it_left(settings: Settings) -> None:
    before = up(settings, worker_command=WAITING_WORKER)
    before.supervisor.send(signal.SIGKILL)
    assert before.supervisor.wait(5)
    assert state(settings) is None
    after = up(settings, worker_command=WAITING_WORKER)
    assert before.supervisor != after.supervisor
    assert before.temporal_address == after.temporal_address
    assert 1 == len(_servers_of(settings))


def test_a_server_that_was_never_written_down_is_found_too(settings: Settings) -> None:
    before = up(settings, worker_command=WAITING_WORKER)
    before.supervisor.send(signal.SIGKILL)
    assert before.supervisor.wait(5)
    without_server = replace(before, services={"worker": before.services["worker"]})
    write_state(StackFiles(settings.home).state, without_server)
    up(settings, worker_command=WAITING_WORKER)
    assert 1 == len(_servers_of(settings))


@pytest.mark.parametrize("then", [up, down])
def test_a_worker_that_was_never_written_down_is_found_too(
    settings: Settings, then: Callable[..., object]
) -> None:
    """Its supervisor was killed between its start and the next record: no second one works beside it."""
    before = up(settings, worker_command=WAITING_WORKER)
    worker = before.services["worker"].process
    before.supervisor.send(signal.SIGKILL)
    assert before.supervisor.wait(5)
    without_worker = replace(before, services={"temporal": before.services["temporal"]})
    write_state(StackFiles(settings.home).state, without_worker)
    then(settings)
    assert worker is not None
    assert not worker.alive


def test_down_after_a_killed_supervisor_stops_what_it_left(settings: Settings) -> None:
    running = up(settings, worker_command=WAITING_WORKER)
    running.supervisor.send(signal.SIGKILL)
    assert running.supervisor.wait(5)
    assert down(settings)
    assert [] == _processes_of(settings)


def test_down_leaves_no_process_no_lock_and_no_record(settings: Settings) -> None:
    up(settings, worker_command=WAITING_WORKER)
    assert down(settings)
    files = StackFiles(settings.home)
    assert [] == _processes_of(settings)
    assert not is_locked(files.lock)
    assert not is_locked(files.server_lock)
    assert not files.state.exists()
    assert not down(settings)


def test_the_same_data_is_there_after_down_and_up(settings: Settings) -> None:
    async def start() -> None:
        await (await connect(settings)).start_workflow("Never", id="kept", task_queue="nobody")

    async def status_of_kept() -> str:
        described = await (await connect(settings)).get_workflow_handle("kept").describe()
        assert described.status is not None
        return described.status.name

    before = up(settings, worker_command=WAITING_WORKER)
    asyncio.run(start())
    down(settings)
    after = up(settings, worker_command=WAITING_WORKER)
    assert "RUNNING" == asyncio.run(status_of_kept())
    assert before.temporal_address == after.temporal_address


def test_a_removed_home_ends_the_stack(settings: Settings, monkeypatch: pytest.MonkeyPatch) -> None:
    running = up(settings, worker_command=WAITING_WORKER)
    settings.home.rename(settings.home.with_name("moved"))
    assert running.supervisor.wait(15)
    assert [] == _processes_of(settings)


def test_a_fixed_port_that_is_taken_is_named_before_anything_starts(settings: Settings) -> None:
    with socket.socket() as other:
        other.bind(("127.0.0.1", 0))
        other.listen()
        port = other.getsockname()[1]
        with pytest.raises(StackError) as caught:
            up(replace(settings, web_port=port))
    assert f"port {port} is taken by {psutil.Process().name()!r} (process {os.getpid()})" == caught.value.what
    assert (
        "stop that, or set MLTEMPORAL_WEB_PORT to another port; unset, a free one is taken"
        == caught.value.next_step
    )
    assert not is_locked(StackFiles(settings.home).lock)


def test_a_remembered_port_that_is_taken_gives_way_to_another(settings: Settings) -> None:
    before = up(settings, worker_command=WAITING_WORKER)
    down(settings)
    with socket.socket() as other:
        other.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        other.bind(("127.0.0.1", int(before.temporal_address.rpartition(":")[2])))
        other.listen()
        after = up(settings, worker_command=WAITING_WORKER)
    assert before.temporal_address != after.temporal_address


def _taken(port: int) -> socket.socket:
    """Take the port; the last thread of a killed process may hold it for a moment longer."""
    deadline = time.monotonic() + 10
    while True:
        try:
            return socket.create_server(("127.0.0.1", port))
        except OSError:
            if time.monotonic() > deadline:
                raise


def test_a_server_whose_port_is_lost_moves_and_its_worker_follows(settings: Settings) -> None:
    before = up(settings, worker_command=WAITING_WORKER)
    server = before.services["temporal"].process
    assert server is not None
    before.supervisor.send(signal.SIGSTOP)  # or it would be quicker than this test
    server.send(signal.SIGKILL)
    assert server.wait(5)
    with _taken(int(before.temporal_address.rpartition(":")[2])):
        before.supervisor.send(signal.SIGCONT)
        after = _wait_for(settings, lambda now: now.ready and now.worker_pid not in (None, before.worker_pid))
    assert before.temporal_address != after.temporal_address


def test_a_stack_of_a_newer_version_is_refused(shared: Settings) -> None:
    running = up(shared)
    write_state(StackFiles(shared.home).state, replace(running, version="99.0", build="99.0-00000000"))
    with pytest.raises(VersionMismatch) as caught:
        up(shared)
    write_state(StackFiles(shared.home).state, running)
    assert (
        f"the stack of {str(shared.home)!r} was started by mltemporal 99.0-00000000, this is {running.build}"
        ", which is older" == caught.value.what
    )
    assert caught.value.next_step.startswith("restart the kernel")


def test_a_stack_of_an_older_version_is_replaced(settings: Settings) -> None:
    before = up(settings, worker_command=WAITING_WORKER)
    write_state(StackFiles(settings.home).state, replace(before, version="0.0.9", build="0.0.9-00000000"))
    told: list[str] = []
    after = up(settings, worker_command=WAITING_WORKER, tell=told.append)
    assert [f"mltemporal {after.version} took over from 0.0.9; no job was running."] == told
    assert not before.supervisor.alive
    assert before.temporal_address == after.temporal_address
    assert 1 == len(_servers_of(settings))


def test_a_stack_with_another_database_is_refused(shared: Settings, tmp_path: Path) -> None:
    up(shared)
    with pytest.raises(StackError, match="was started with another database than this process is set to use"):
        up(replace(shared, database_url=f"sqlite:///{tmp_path / 'other.db'}"))


def test_a_server_that_cannot_start_is_reported_with_its_own_words(settings: Settings) -> None:
    files = StackFiles(settings.home)
    running = up(settings, worker_command=WAITING_WORKER)
    down(settings)
    for path in files.folder.glob("temporal-*.db*"):
        path.unlink()
    files.server_database(running.server_version).write_bytes(b"no database at all" * 100)
    with pytest.raises(StackError, match="the Temporal server did not come up") as caught:
        up(settings, worker_command=WAITING_WORKER)
    assert "file is not a database" in caught.value.what


def test_connecting_without_a_stack_says_how_to_start_one(settings: Settings) -> None:
    with pytest.raises(StackError) as caught:
        asyncio.run(connect(settings))
    assert (
        f"no stack runs in the home {str(settings.home)!r}\n"
        "Next step: run `mltemporal up`, or `%load_ext mltemporal` in a notebook"
    ) == str(caught.value)


def test_the_status_tells_where_everything_is(shared: Settings) -> None:
    running = up(shared)
    told = status(shared)
    assert told.running
    assert running.temporal_address == told.temporal_address
    assert running.web_ui == told.web_ui
    assert f"sqlite:///{shared.home}/mltemporal.db" == told.database
    assert () == told.workers
    assert told.task_queue.startswith("mltemporal-")
    assert f'<a href="{running.web_ui}"' in told._repr_html_()


def test_the_real_worker_comes_back_and_leaves_nothing_behind(settings: Settings) -> None:
    up(settings)
    _until(lambda: bool(status(settings).workers))
    first = status(settings).workers[0]
    assert state(settings).worker_pid == first.pid
    _until(lambda: all(check.ok for check in doctor.run(settings)))  # Temporal lists a poller a moment later
    os.kill(first.pid, signal.SIGKILL)
    _until(
        lambda: (
            first.pid not in (pids := [worker.pid for worker in status(settings).workers]) or len(pids) > 1
        )
    )
    assert down(settings)
    assert [] == _processes_of(settings)


def test_with_a_configured_temporal_no_server_is_started(
    settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TEMPORAL_ADDRESS", "127.0.0.1:1")
    configured = replace(settings, temporal_configured=True)
    running = up(configured, worker_command=WAITING_WORKER)
    assert "127.0.0.1:1" == running.temporal_address
    assert ["worker"] == list(running.services)
    with pytest.raises(StackError, match=r"the configured Temporal at .* does not answer"):
        asyncio.run(connect(configured))


@pytest.mark.parametrize(
    ("home", "error"),
    [("file", InvalidRequest), ("file/below", InvalidRequest), ("long" * 100, InvalidRequest)],
)
def test_a_home_that_cannot_be_a_directory_is_named(
    tmp_path: Path, home: str, error: type[Exception]
) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(error) as caught:
        up(load_settings({"MLTEMPORAL_HOME": str(tmp_path / home)}))
    assert str(tmp_path)[:60] in str(caught.value)
    assert "MLTEMPORAL_HOME" in str(caught.value)


def _kill(running: StackState, service: str) -> None:
    process = running.services[service].process
    assert process is not None
    process.send(signal.SIGKILL)


def _wait_for(settings: Settings, reached: Callable[[StackState], bool]) -> StackState:
    def check() -> bool:
        now = state(settings)
        return now is not None and reached(now)

    _until(check)
    now = state(settings)
    assert now is not None
    return now


def _until(reached: Callable[[], bool], timeout_s: float = 20) -> None:
    deadline = time.monotonic() + timeout_s
    while not reached():
        assert time.monotonic() < deadline, "waited in vain"
        time.sleep(0.02)


def _processes_of(settings: Settings) -> list[str]:
    """Every process that works in this home, or was told of it."""
    found = []
    for process in psutil.process_iter(["cmdline"]):
        try:
            told = process.environ().get("MLTEMPORAL_HOME") == str(settings.home)
            concerned = told or process.cwd().startswith(str(settings.home.parent))
        except psutil.Error:
            continue
        if concerned and process.pid != os.getpid():
            found.append(" ".join(process.info["cmdline"]))
    return found


def _servers_of(settings: Settings) -> list[str]:
    return [command for command in _processes_of(settings) if "start-dev" in command]
