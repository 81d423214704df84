"""A PostgreSQL server of the tests' own: the real one, in a folder and on a port that nobody else uses.

It starts with the first test that asks for `postgres`.
"""

from __future__ import annotations

import os
import pwd
import secrets
import shutil
import signal
import socket
import subprocess
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import psycopg
import pytest
from psycopg import sql

_OWNER = "owner"
_START_S = 60


class PostgresServer:
    """One server, listening on loopback, whose users need their passwords."""

    def __init__(self, binaries: Path, folder: Path) -> None:
        self._binaries = binaries
        self._folder = folder
        self._process: subprocess.Popen[bytes] | None = None
        self.port = _free_port()
        self.password = secrets.token_hex(8)
        self._environ = dict(os.environ)  # as it is now: what is set meanwhile is for others

    def initialise(self) -> None:
        """Make the server's files. The server refuses to run as root: then they are user postgres's."""
        password_file = self._folder / "password"
        password_file.write_text(self.password)
        if os.getuid() == 0:
            for path in (self._folder, password_file):
                shutil.chown(path, "postgres", "postgres")
        options = ("--username", _OWNER, "--pwfile", password_file, "--auth", "scram-sha-256")
        subprocess.run(
            self._command("initdb", "--pgdata", self._data, *options, "--encoding=UTF8", "--locale=C", "-N"),
            check=True,
            capture_output=True,
            cwd="/",
        )

    def start(self) -> None:
        """Start the server and wait until it answers; one that was killed may be a moment in the way."""
        deadline = time.monotonic() + _START_S
        self._launch()
        while True:
            try:
                self.execute("SELECT 1")
                return
            except psycopg.OperationalError:
                if time.monotonic() > deadline:
                    raise RuntimeError((self._folder / "log").read_text()) from None
                assert self._process is not None
                if self._process.poll() is not None:
                    self._launch()
                time.sleep(0.02)

    def _launch(self) -> None:
        settings = {
            "listen_addresses": "127.0.0.1",
            "unix_socket_directories": "",
            "max_connections": "60",
            "fsync": "off",  # the machine does not go down, only the server
        }
        arguments = [part for name, value in settings.items() for part in ("-c", f"{name}={value}")]
        with (self._folder / "log").open("ab") as log:
            self._process = subprocess.Popen(
                self._command("postgres", "-D", self._data, "-p", str(self.port), *arguments),
                stdout=log,
                stderr=log,
                cwd="/",
                env=self._environ,
                start_new_session=True,  # Ctrl-C ends the tests, which end the server
            )

    def stop(self, how: signal.Signals = signal.SIGINT) -> None:
        """Stop the server: SIGINT ends the connections and then it, SIGKILL is an accident."""
        assert self._process is not None
        self._process.send_signal(how)
        self._process.wait(30)

    def url(self, database: str, *, user: str = _OWNER, password: str | None = None) -> str:
        """Return where a database of this server is."""
        secret = self.password if password is None else password
        return f"postgresql://{user}:{secret}@127.0.0.1:{self.port}/{database}"

    def create(self, *, like: str | None = None) -> str:
        """Make a database, as a copy of another one or empty, and return its name."""
        name = f"test_{secrets.token_hex(6)}"
        made = sql.SQL("CREATE DATABASE {} TEMPLATE {}")
        self.execute(made.format(sql.Identifier(name), sql.Identifier(like or "template1")))
        return name

    def drop(self, database: str) -> None:
        """Remove a database, whoever is connected to it."""
        self.execute(sql.SQL("DROP DATABASE {} WITH (FORCE)").format(sql.Identifier(database)))

    def execute(
        self, statement: str | sql.Composed, *values: object, database: str = "postgres"
    ) -> list[tuple[Any, ...]]:
        """Run one statement as the server's owner and return its rows."""
        with psycopg.connect(self.url(database), autocommit=True, connect_timeout=10) as connection:
            cursor = connection.execute(statement, values or None)  # type: ignore[arg-type]
            return cursor.fetchall() if cursor.description else []

    def disconnect(self, database: str) -> int:
        """End every connection to the database, as an administrator or a failover does; return how many."""
        query = "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = %s"
        return len(self.execute(query, database))

    @property
    def _data(self) -> Path:
        return self._folder / "data"

    def _command(self, program: str, *arguments: str | Path) -> list[str]:
        as_postgres: list[str] = []
        if os.getuid() == 0:
            who = pwd.getpwnam("postgres")
            as_postgres = ["setpriv", f"--reuid={who.pw_uid}", f"--regid={who.pw_gid}", "--clear-groups"]
        return [*as_postgres, str(self._binaries / program), *map(str, arguments)]


def binaries() -> Path | None:
    """Return the folder of the server's programs: Debian keeps them off the path."""
    newest = sorted(
        Path("/usr/lib/postgresql").glob("*/bin/initdb"), key=lambda path: int(path.parent.parent.name)
    )
    found = str(newest[-1]) if newest else shutil.which("initdb")
    return Path(found).parent if found else None


def require() -> Path:
    """Skip where there is no PostgreSQL; in CI a skip is a failure. Return where its programs are."""
    found = binaries()
    if found is None:
        pytest.skip("PostgreSQL is not installed (Debian's package: postgresql)")
    return found


def _free_port() -> int:
    with socket.socket() as asked:
        asked.bind(("127.0.0.1", 0))
        port: int = asked.getsockname()[1]
        return port


@pytest.fixture(scope="session")
def postgres() -> Iterator[PostgresServer]:
    """A server that runs for the whole session."""
    programs = require()
    folder = Path(tempfile.mkdtemp(prefix="mltemporal-postgres-"))
    server = PostgresServer(programs, folder)
    try:
        server.initialise()
        server.start()
        yield server
        server.stop()
    finally:
        shutil.rmtree(folder)
