"""A laptop: jobs are local processes, the record is SQLite, storage a folder on a disk of its own."""

from __future__ import annotations

import json
import sqlite3
from dataclasses import dataclass
from pathlib import Path

import psutil

from mltemporal.launchers.folder import ProcessFolder
from mltemporal.stack.process import ProcessId

from .faults import FAULTS
from .world import LIVE, World


@dataclass(frozen=True, kw_only=True)
class Training:
    """The process of one attempt, as its folder tells."""

    folder: ProcessFolder
    keeper: ProcessId
    training: ProcessId

    @property
    def name(self) -> str:
        """The folder's."""
        return self.folder.name

    @property
    def key(self) -> str:
        """The job's key."""
        return self.folder.name.rpartition("-")[0]

    @property
    def place(self) -> tuple[str, str]:
        """Its number; a local job has one rank."""
        return self.folder.name.rpartition("-")[2], ""


class Laptop(World):
    """The home of a run, and its storage."""

    name = "laptop"
    title = "a laptop (local processes, SQLite, a disk)"
    faults = FAULTS

    def __init__(self, folder: Path, *, kernels: int = 3) -> None:
        self.store = folder / "storage"
        settings = {
            "MLTEMPORAL_STORAGE_URL": str(self.store),
            "MLTEMPORAL_DATABASE_URL": f"sqlite:///{folder}/home/mltemporal.db",
            "MLTEMPORAL_MAX_LOCAL_JOBS": str(LIVE),
        }
        super().__init__(folder, settings, {}, kernels=kernels)
        self.disks.append(self.store)

    @property
    def left_out(self) -> list[str]:
        """Which faults cannot be tried here."""
        return [] if self.mounted else ["full disks and storage away: they need root and mount"]

    def files_left(self) -> list[str]:
        """Return what no job that has ended needs."""
        incoming = {str(path.relative_to(self.folder)) for path in self.store.glob("incoming/*")}
        return sorted({*super().files_left(), *incoming})

    def locks_left(self) -> list[str]:
        """Return what is wrong with the database now that nobody uses it."""
        found = []
        with sqlite3.connect(self.home / "mltemporal.db", timeout=2, isolation_level=None) as connection:
            try:
                connection.execute("BEGIN EXCLUSIVE")
                connection.execute("ROLLBACK")
            except sqlite3.OperationalError as error:
                found.append(f"the database cannot be locked: {error}")
            (told,) = connection.execute("PRAGMA integrity_check").fetchone()
            if told != "ok":
                found.append(f"the database is damaged: {told}")
        connection.close()
        return found

    def trainings(self) -> list[Training]:
        """The processes of attempts that are alive."""
        found = []
        for path in sorted((self.home / "jobs").glob("*/process.json")):
            try:
                told = json.loads(path.read_bytes())
            except (OSError, json.JSONDecodeError):  # it was deleted in this moment
                continue
            keeper, training = ProcessId(*told["keeper"]), ProcessId(*told["training"])
            if training.alive:
                found.append(Training(folder=ProcessFolder(path.parent), keeper=keeper, training=training))
        return found

    def warm(self) -> list[ProcessId]:
        """The worker's warm interpreters."""
        found = []
        for worker in self.service("worker"):
            try:
                children = psutil.Process(worker.pid).children()
                found += [c.pid for c in children if "mltemporal.launchers.forkserver" in c.cmdline()]
            except psutil.Error:
                continue
        return [process for pid in found if (process := ProcessId.of(pid)) is not None]
