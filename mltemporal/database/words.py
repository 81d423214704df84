"""The type of every text column: it takes any Python text, and both databases keep the same of it."""

from __future__ import annotations

import sqlalchemy as sa
from sqlalchemy.types import TypeDecorator, TypeEngine


class Words(TypeDecorator[str]):
    """Text; with a length, text that is cut there.

    PostgreSQL refuses a NUL, half a surrogate pair and what is longer than its column, any of which
    a job's name, output or path may have; SQLite keeps them all. Here each is replaced, or cut.
    """

    impl: TypeEngine[str] | type[TypeEngine[str]] = sa.Text
    cache_ok = True

    def __init__(self, length: int | None = None) -> None:
        super().__init__()
        self.impl = sa.Text() if length is None else sa.String(length)
        self.length = length

    def process_bind_param(self, value: str | None, dialect: sa.Dialect) -> str | None:  # noqa: ARG002
        """Return what is stored, and what is compared with it."""
        if value is None:
            return None
        sound = value.encode(errors="replace").decode().replace("\0", "\ufffd")
        return sound if self.length is None else sound[: self.length]
