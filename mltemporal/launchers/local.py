"""Trainings as detached processes of this machine.

A process belongs to nobody: it survives the kernel that asked for it and the worker that
started it, and any worker of the same home finds it again. Every fact is a file (see `keeper`).
At most ``max_jobs`` run at once; the others wait in the order in which they came.
"""

from __future__ import annotations

import asyncio
import fcntl
import json
import logging
import os
import shutil
import sys
import time
import uuid
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from dataclasses import asdict, dataclass, fields, replace
from pathlib import Path
from typing import Any

from mltemporal.errors import InvalidRequest, NotFound, ServiceUnavailable
from mltemporal.launchers import keeper
from mltemporal.launchers.base import Phase, Sighting
from mltemporal.launchers.folder import LOG_LIMIT_BYTES, READ_BYTES, ProcessFolder
from mltemporal.launchers.threads import thread_settings
from mltemporal.launchers.warm import WarmInterpreters
from mltemporal.settings import Settings
from mltemporal.specs.request import JobSpec, PodOptions

log = logging.getLogger("mltemporal.worker")

_POLL_S = 0.1


@dataclass(frozen=True, kw_only=True)
class KernelContext:
    """What a local job takes over from the kernel that asked for it."""

    python: str
    cwd: str
    env: dict[str, str]
    umask: int = 0o022
    """What a job writes outside the home gets the modes that the kernel's files get."""

    def __repr__(self) -> str:
        return f"KernelContext(python={self.python!r}, cwd={self.cwd!r}, env=<{len(self.env)} variables>)"

    @classmethod
    def here(cls) -> KernelContext:
        """The context of this process."""
        return cls(python=sys.executable, cwd=os.getcwd(), env=dict(os.environ), umask=_umask())


class LocalLauncher:
    """The `Launcher` for this machine; safe in several processes of one home at once.

    ``owner`` (a database's id) marks what it starts; a home may have served another database before.
    """

    def __init__(
        self,
        home: Path,
        storage_url: str,
        max_jobs: int,
        owner: str = "",
        log_limit_bytes: int = LOG_LIMIT_BYTES,
    ) -> None:
        self._contexts = home / "launch"
        self._root = home / "jobs"
        self._gone = home / "jobs-deleted"
        self._storage_url = storage_url
        self._max_jobs = max_jobs
        self._owner = owner
        self._log_limit_bytes = log_limit_bytes
        self._turn = asyncio.Lock()
        self._warm = WarmInterpreters()
        self._waiting: list[str] = []
        self._looked_at = 0.0

    @classmethod
    def of(cls, settings: Settings, owner: str) -> LocalLauncher:
        """Return the launcher of the home, storage and limit that the settings name."""
        return cls(settings.home, settings.storage_url, settings.max_local_jobs, owner)

    # On the kernel's side

    def check(self, spec: JobSpec) -> None:
        """Refuse, in words, what a local process cannot honour."""
        cores, cpu = os.cpu_count() or 1, spec.resources.cpu
        if cpu is not None and not 0 < cpu <= cores:
            raise InvalidRequest(
                f"resources ask for {cpu:g} cores, this machine has {cores}",
                f"ask for more than 0 and at most {cores}",
            )
        if spec.trainer.kind == "container":
            raise InvalidRequest(
                "the local backend runs no containers", "pass backend='kubernetes', or train with a Script"
            )
        others = {"memory": spec.resources.memory, **spec.resources.others}
        for name, wanted in others.items():
            if wanted is not None:
                raise InvalidRequest(
                    f"the local backend cannot honour resources {name}={wanted!r}",
                    "the local backend knows resources={\"cpu\": 2}; the others need backend='kubernetes'",
                )
        for field in fields(PodOptions):
            if getattr(spec.pod, field.name) != getattr(_NO_OPTIONS, field.name):
                name = "pod_template" if field.name == "template" else field.name
                raise InvalidRequest(
                    f"the local backend cannot honour {name}=",
                    f"leave it out: {_INSTEAD.get(name, 'it is for pods')}; or pass backend='kubernetes'",
                )

    def prepare(self, key: str, context: KernelContext | None = None) -> None:
        """Keep the kernel's interpreter, directory and environment (by default this one's) for the job.

        They go into a file that only the user can read, never into the database or Temporal.

        Raises:
            ServiceUnavailable: the home cannot be written.
        """
        try:
            self._contexts.mkdir(mode=0o700, parents=True, exist_ok=True)
            keeper.write_json(str(self._contexts / f"{key}.json"), asdict(context or KernelContext.here()))
        except OSError as error:
            raise ServiceUnavailable(
                f"the job's environment could not be kept in {str(self._contexts)!r}: {error.strerror}",
                "check free space and permissions of MLTEMPORAL_HOME",
            ) from error

    async def rehearse(self, spec: JobSpec) -> str:  # noqa: ARG002 - `check` has seen it all
        """Return where jobs run."""
        return "this machine"

    # On the worker's side

    @property
    def warm(self) -> bool:
        """Whether a warm interpreter stands ready."""
        return self._warm.ready

    async def close(self) -> None:
        """End the warm interpreters; processes go on."""
        self._warm.close()

    async def start(self, spec: JobSpec, attempt: int) -> None:
        """Queue the process, and start it if there is room. Idempotent by name."""
        folder = self._folder(f"{spec.key}-{attempt}")
        if not folder.exists:
            folder.place(self._order(spec, attempt))
        await self._admit(folder.name)

    async def find(self, name: str) -> Sighting | None:
        """Return the process's phase, without output; None where there is no such process."""
        folder = self._folder(name)
        return self._look(folder) if folder.exists else None

    async def follow(
        self,
        name: str,
        position: int,
        cursor: str = "",  # noqa: ARG002 - the position says it all
        rank: int = 0,  # noqa: ARG002 - there is one process
    ) -> AsyncIterator[Sighting]:
        """Yield a sighting on every change, at least each second, output from ``position`` on."""
        folder = self._folder(name)
        last: tuple[Phase, str] | None = None
        began, said_at = time.monotonic(), 0.0
        while True:
            if not folder.exists:
                raise NotFound(f"there is no local process {name!r}", "it was deleted; start the job again")
            seen = self._look(folder)  # before reading, so that the last reading has all there is
            if not seen.phase.final:
                folder.end_outgrown(self._log_limit_bytes)
            output = folder.read(position)
            position += len(output)
            more = len(output) == READ_BYTES
            if output or (seen.phase, seen.reason) != last or time.monotonic() - said_at >= 1.0:
                last, said_at = (seen.phase, seen.reason), time.monotonic()
                phase = Phase.RUNNING if seen.phase.final and more else seen.phase
                yield replace(seen, phase=phase, output=output, position=position)
                if phase.final:
                    return
            if seen.phase is Phase.QUEUED and time.monotonic() - self._looked_at > _POLL_S:
                await self._admit(name)  # one look serves all that wait
            if not more:  # often at first, so that a short job is not kept waiting for its end
                await asyncio.sleep(min(_POLL_S, 0.01 + (time.monotonic() - began) / 20))

    async def suspend(self, name: str) -> None:
        """Stop the process group (SIGSTOP); it keeps its memory and its slot."""
        self._folder(name).suspend()

    async def resume(self, name: str) -> None:
        """Let the process group go on (SIGCONT)."""
        self._folder(name).resume()

    async def allow(self, name: str, time_s: float) -> None:
        """Do nothing: here only the job's workflow ends what takes too long."""

    async def stop(self, name: str, grace_s: float) -> None:
        """SIGTERM to the process group, SIGKILL after ``grace_s``; returns when it has ended."""
        folder = self._folder(name)
        async with self._admission():  # nobody starts it while it is taken back
            await folder.give_up()
        folder.terminate()
        if not await folder.ended(grace_s):
            folder.kill()
            if not await folder.ended(30.0):
                raise ServiceUnavailable(f"process {name!r} does not end on SIGKILL", "look at it with `ps`")

    async def delete(self, name: str) -> None:
        """Remove the folder of a process that has ended; also what a killed worker had begun to remove.

        It is taken away as a whole first: what is half removed would look as if it waited to be started.
        """
        folder = self._folder(name)
        async with self._admission():
            if folder.exists and self._look(folder).phase.final:
                folder.path.rename(self._gone / uuid.uuid4().hex)
        await asyncio.to_thread(_clear, self._gone)

    async def forget(self, key: str) -> None:
        """Remove what `prepare` kept, also where it was killed in the middle."""
        for path in self._contexts.glob(f"{key}.json*"):
            path.unlink(missing_ok=True)

    async def kept(self) -> dict[str, float]:
        """Return the jobs that `prepare` kept something for, each with the time of it."""
        found = {}
        for path in self._contexts.glob("*.json*"):
            with suppress(FileNotFoundError):  # forgotten in this moment
                found[path.name.partition(".")[0]] = path.stat().st_mtime
        return found

    async def names(self) -> list[str]:
        """Return the names of this owner's processes, ended ones included, that were not deleted."""
        return sorted(folder.name for folder in self._folders() if folder.owner == self._owner)

    # Below

    def _folder(self, name: str) -> ProcessFolder:
        if not name or "/" in name or name.startswith("."):
            raise InvalidRequest(f"{name!r} cannot name a process", "use <job key>-<attempt>")
        return ProcessFolder(self._root / name)

    def _folders(self) -> list[ProcessFolder]:
        return [ProcessFolder(path.parent) for path in self._root.glob("*/order.json")]

    def _order(self, spec: JobSpec, attempt: int) -> dict[str, Any]:
        path = self._contexts / f"{spec.key}.json"
        if not path.exists():
            raise InvalidRequest(
                f"job {spec.name!r} was launched on another machine: its environment is not here",
                "launch it again from this machine",
            )
        context = KernelContext(**json.loads(path.read_text()))
        command = [context.python, "-m", "mltemporal.runtime", self._storage_url, spec.key, str(attempt)]
        scratch = {"MLTEMPORAL_SCRATCH": str(self._root / f"{spec.key}-{attempt}")}
        env = {**thread_settings(spec.resources.cpu), **context.env, **_JOB_ENV, **scratch, **spec.env}
        owner = {"owner": self._owner}
        return {"argv": command, "cwd": context.cwd, "env": env, "umask": context.umask, **owner}

    def _look(self, folder: ProcessFolder) -> Sighting:
        seen = folder.look()
        if seen.phase is not Phase.QUEUED:
            return seen
        ahead = self._waiting.index(folder.name) if folder.name in self._waiting else len(self._waiting)
        reason = f"waiting for a free slot: {ahead} ahead, {self._max_jobs} local jobs may run at once"
        return replace(seen, reason=reason)

    async def _admit(self, name: str) -> None:
        """Start as many waiting processes as there is room for, first come first.

        Raises:
            ServiceUnavailable: the one that is called ``name`` was not started; the others have their own.
        """
        async with self._admission():
            folders = self._folders()
            waiting = sorted((f for f in folders if f.waits), key=lambda f: f.queued_at)
            alive = sum(f.started and not f.look().phase.final for f in folders) if waiting else 0
            try:
                for folder in waiting[: max(0, self._max_jobs - alive)]:
                    try:
                        await folder.run(self._warm)
                    except ServiceUnavailable as error:
                        if folder.name == name:
                            raise
                        log.warning("%s", error)
            finally:
                self._waiting = [folder.name for folder in waiting if folder.waits]
                self._looked_at = time.monotonic()

    @asynccontextmanager
    async def _admission(self) -> AsyncIterator[None]:
        """One at a time starts processes, among all workers of this home."""
        for place in (self._root, self._gone):  # before the disk is full, when what is deleted goes there
            place.mkdir(mode=0o700, parents=True, exist_ok=True)
        async with self._turn:  # within this worker; the file lock is between workers
            lock = os.open(self._root / ".admission", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
            try:
                while not _locked(lock):  # noqa: ASYNC110 - another process cannot set our event
                    await asyncio.sleep(0.01)
                yield
            finally:
                os.close(lock)


def _umask() -> int:
    """Return this process's umask; where it can only be had by setting it, that is undone at once."""
    with suppress(OSError, StopIteration), open("/proc/self/status", encoding="utf-8") as file:
        return int(next(line for line in file if line.startswith("Umask:")).split()[1], 8)
    found = os.umask(0o077)
    os.umask(found)
    return found


def _clear(folder: Path) -> None:
    """Remove what is in the folder, whoever else is at it too."""
    for path in folder.glob("*"):
        while path.exists():
            with suppress(FileNotFoundError):
                shutil.rmtree(path)


def _locked(lock: int) -> bool:
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True


_NO_OPTIONS = PodOptions()
_INSTEAD = {
    "image": "a local job runs in the environment of your kernel",
    "nodes": "a local job runs on this one machine",
    "packages": "install them in the environment of your kernel",
    "secrets": "a local job has the environment variables of your kernel",
}

_JOB_ENV = {"PYTHONUNBUFFERED": "1", "MPLBACKEND": "agg"}
"""Prints appear at once, and a plot needs no screen and no notebook."""
