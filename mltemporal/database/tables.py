"""The tables. Times are seconds since the epoch; columns named ``…_json`` hold `specs.encode`'s text.

A change here needs a migration under ``migrations/versions``; a test compares the two.
"""

from sqlalchemy import (
    BigInteger,
    Column,
    Float,
    ForeignKey,
    Index,
    Integer,
    MetaData,
    Table,
    UniqueConstraint,
)

from mltemporal.database.words import Words

CURSOR_CHARACTERS = 64
"""The longest cursor of a stream."""

metadata = MetaData()

meta = Table(
    "meta",
    metadata,
    Column("name", Words(64), primary_key=True),
    Column("value", Words(), nullable=False),
)

datasets = Table(
    "datasets",
    metadata,
    Column("id", Integer, primary_key=True),
    Column("name", Words(255), index=True),  # the newest of a name is meant
    Column("fingerprint", Words(64), nullable=False, unique=True),
    Column("ref_json", Words(), nullable=False),
    Column("facts_json", Words(), nullable=False, server_default="{}"),
    Column("created_at", Float, nullable=False),
)

jobs = Table(
    "jobs",
    metadata,
    Column("id", Integer, primary_key=True),
    Column("key", Words(63), nullable=False, unique=True),
    Column("kind", Words(32), nullable=False),
    Column("name", Words(255), nullable=False, index=True),
    Column("status", Words(16), nullable=False, index=True),
    Column("stage", Words(), nullable=False, default=""),
    Column("fingerprint", Words(64), nullable=False, index=True),
    # Equal to the fingerprint while the job is alive: unique, so that one cell has one live job.
    Column("live_fingerprint", Words(64), unique=True),
    Column("dataset_id", Integer, ForeignKey("datasets.id")),
    Column("spec_json", Words(), nullable=False),
    Column("tags_json", Words(), nullable=False, default="[]"),
    Column("attempt", Integer, nullable=False, default=0),
    Column("created_by", Words(255), nullable=False, default=""),
    Column("created_at", Float, nullable=False),
    Column("started_at", Float),
    Column("finished_at", Float),
    Column("result_json", Words()),
    Column("error", Words(), nullable=False, default=""),
    sqlite_autoincrement=True,  # an id is never used again
)

attempts = Table(
    "attempts",
    metadata,
    Column("job_id", Integer, ForeignKey("jobs.id"), primary_key=True),
    Column("number", Integer, primary_key=True),
    Column("started_at", Float, nullable=False),
    Column("finished_at", Float),
    Column("phase", Words(16), nullable=False, default=""),
    Column("reason", Words(), nullable=False, default=""),
    Column("log_json", Words()),
)

# One row a rank of an attempt that has said something: up to where its output is recorded.
streams = Table(
    "streams",
    metadata,
    Column("job_id", Integer, ForeignKey("jobs.id"), primary_key=True),
    Column("attempt", Integer, primary_key=True),
    Column("rank", Integer, primary_key=True),
    Column("position", BigInteger, nullable=False),
    Column("cursor", Words(CURSOR_CHARACTERS), nullable=False),
)

points = Table(
    "points",
    metadata,
    Column("id", Integer, primary_key=True),
    Column("job_id", Integer, ForeignKey("jobs.id"), nullable=False),
    Column("attempt", Integer, nullable=False),
    Column("position", BigInteger, nullable=False),
    Column("time", Float, nullable=False),
    Column("step", BigInteger),
    Column("total", BigInteger),
    Column("metrics_json", Words(), nullable=False),
    UniqueConstraint("job_id", "attempt", "position"),
    Index("points_of_a_job", "job_id", "id"),
)

log_chunks = Table(
    "log_chunks",
    metadata,
    Column("id", Integer, primary_key=True),
    Column("job_id", Integer, ForeignKey("jobs.id"), nullable=False),
    Column("attempt", Integer, nullable=False),
    Column("rank", Integer, nullable=False, server_default="0"),
    Column("position", BigInteger, nullable=False),
    Column("text", Words(), nullable=False),
    UniqueConstraint("job_id", "attempt", "rank", "position"),
    Index("log_of_a_job", "job_id", "rank", "id"),
)

artifacts = Table(
    "artifacts",
    metadata,
    Column("job_id", Integer, ForeignKey("jobs.id"), primary_key=True),
    Column("name", Words(255), primary_key=True),
    Column("attempt", Integer, nullable=False),
    Column("object_json", Words(), nullable=False),
    Column("created_at", Float, nullable=False),
)

events = Table(
    "events",
    metadata,
    Column("id", Integer, primary_key=True),
    Column("job_id", Integer, ForeignKey("jobs.id"), nullable=False),
    # Names the occurrence, so that an activity that is tried again records it once.
    Column("key", Words(255), nullable=False),
    Column("time", Float, nullable=False),
    Column("kind", Words(32), nullable=False),
    Column("attempt", Integer, nullable=False, default=0),
    Column("message", Words(), nullable=False, default=""),
    Column("created_by", Words(255), nullable=False, default=""),
    UniqueConstraint("job_id", "key"),
)

workers = Table(
    "workers",
    metadata,
    Column("id", Words(64), primary_key=True),
    Column("host", Words(255), nullable=False),
    Column("pid", Integer, nullable=False),
    Column("version", Words(32), nullable=False),
    Column("python", Words(255), nullable=False),
    Column("task_queue", Words(255), nullable=False),
    Column("started_at", Float, nullable=False),
    Column("seen_at", Float, nullable=False),
)

# One row a check of a round of the monitor.
health = Table(
    "health",
    metadata,
    Column("id", Integer, primary_key=True),
    # Names the round, so that an activity that is tried again records it once.
    Column("round", Words(128), nullable=False),
    Column("time", Float, nullable=False),
    Column("part", Words(64), nullable=False),
    Column("state", Words(16), nullable=False),
    Column("latency_ms", Float, nullable=False),
    Column("detail", Words(), nullable=False, default=""),
    Column("next_step", Words(), nullable=False, default=""),
    UniqueConstraint("round", "part"),
    Index("health_by_time", "time"),
)
