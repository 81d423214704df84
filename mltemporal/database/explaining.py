"""What a database's errors mean, in words, and which of them pass by themselves."""

from __future__ import annotations

import re
from dataclasses import dataclass

import sqlalchemy as sa
from sqlalchemy.exc import DBAPIError
from sqlalchemy.exc import TimeoutError as PoolTimeout

from mltemporal.database.connecting import shown
from mltemporal.errors import ServiceUnavailable


@dataclass(frozen=True, kw_only=True)
class _Trouble:
    what: str
    """Follows "the database …"; may name {user}, {name} (of the database) and {detail}."""
    next_step: str
    states: tuple[str, ...] = ()
    """The SQLSTATEs that mean it, or the classes that they begin with."""
    says: str = ""
    """A regular expression: a server that refuses a connection sends words and no SQLSTATE."""
    passes: bool = False
    """Whether the transaction was rolled back and may get through a moment later."""


# The first that fits counts.
_POSTGRES = (
    _Trouble(
        says="password authentication failed|no password supplied",
        states=("28P01",),
        what="refuses the password of user {user!r}",
        next_step="correct the user or the password in MLTEMPORAL_DATABASE_URL"
        " ('@', '/' and '%' in it are written '%40', '%2F' and '%25')",
    ),
    _Trouble(
        says=r'role ".*" does not exist|no pg_hba\.conf entry|is not permitted to log in',
        states=("28000",),
        what="does not let user {user!r} in: {detail}",
        next_step="ask its administrator for a user and for access from this host",
    ),
    _Trouble(
        says='database ".*" does not exist',
        states=("3D000",),
        what="does not exist on its server",
        next_step="create it with `createdb {name}`, or correct its name in MLTEMPORAL_DATABASE_URL",
    ),
    _Trouble(
        says="too many clients|connection slots are reserved|too many connections",
        states=("53300",),
        what="has no connection left",
        next_step="raise the server's max_connections, close kernels, or put a pooler before it (PgBouncer)",
        passes=True,
    ),
    _Trouble(
        says="the database system is (starting up|shutting down|in recovery mode|not yet accepting)",
        states=("57P01", "57P02", "57P03"),
        what="is just being started or stopped: {detail}",
        next_step="try again in a moment; if that lasts, look at the server's log",
        passes=True,
    ),
    _Trouble(
        states=("42501",),
        what="does not let user {user!r} do this: {detail}",
        next_step="as its owner run: GRANT USAGE, CREATE ON SCHEMA public TO {user}; where another user made"
        " the tables, also GRANT SELECT, INSERT, UPDATE, DELETE ON ALL TABLES IN SCHEMA public TO {user}"
        " and GRANT USAGE ON ALL SEQUENCES IN SCHEMA public TO {user}",
    ),
    _Trouble(
        states=("25006",),
        what="is read-only: {detail}",
        next_step="name the primary, not a standby, in MLTEMPORAL_DATABASE_URL"
        " (of several hosts: ?target_session_attrs=read-write)",
    ),
    _Trouble(
        states=("53100",),
        what="has no room on its disk: {detail}",
        next_step="make room on the server; what was being written was rolled back",
    ),
    _Trouble(
        states=("40001", "40P01"),
        what="had two writers in each other's way: {detail}",
        next_step="try again; what was being written was rolled back",
        passes=True,
    ),
    _Trouble(
        states=("57014", "55P03", "25P03"),
        what="took too long: {detail}",
        next_step="look in pg_stat_activity for who holds a lock, then try again;"
        " what was being written was rolled back",
    ),
    _Trouble(
        says="SSL|certificate",
        what="cannot be reached safely: {detail}",
        next_step="look at sslmode= and sslrootcert= in MLTEMPORAL_DATABASE_URL",
    ),
)
_AWAY = _Trouble(
    states=("08",),
    what="cannot be reached: {detail}",
    next_step="check that the server runs, and the host and port in MLTEMPORAL_DATABASE_URL",
    passes=True,
)
_OTHER = _Trouble(
    what="does not answer: {detail}",
    next_step="check that it runs and that the disk is not full; what was being written was rolled back",
)


def explained(error: DBAPIError | PoolTimeout, url: sa.URL) -> ServiceUnavailable:
    """Return the error of ours for one of the driver's or of the pool's.

    Each is one that trying again may help: even a wrong password is put right on the server,
    while jobs run that must not fail for it.
    """
    trouble = _trouble(error)
    detail = " ".join(str(getattr(error, "orig", error)).splitlines()[:1])
    words = {"user": url.username or url.query.get("user", ""), "name": url.database, "detail": detail}
    return ServiceUnavailable(
        f"the database {shown(url)!r} {trouble.what.format(**words)}", trouble.next_step.format(**words)
    )


def passes(error: BaseException | None) -> bool:
    """Whether the connection was lost, or something else happened that a moment later may be over."""
    return isinstance(error, DBAPIError) and _trouble(error).passes


def _trouble(error: DBAPIError | PoolTimeout) -> _Trouble:
    if isinstance(error, PoolTimeout) or not _of_postgres(error):
        return _OTHER
    state = getattr(error.orig, "sqlstate", None) or ""
    text = str(error.orig)
    for trouble in (*_POSTGRES, _AWAY):
        if state and state.startswith(trouble.states):
            return trouble
        if not state and trouble.says and re.search(trouble.says, text):
            return trouble
    lost = error.connection_invalidated or (not state and isinstance(error, sa.exc.OperationalError))
    return _AWAY if lost else _OTHER


def _of_postgres(error: DBAPIError) -> bool:
    return type(error.orig).__module__.startswith("psycopg")
