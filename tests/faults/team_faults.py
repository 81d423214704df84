"""Which faults come where a team's services are used, and how often each of them."""

from __future__ import annotations

from .cluster_faults import (
    AnswerLost,
    ApiRefuses,
    ApiRestarted,
    ApiSlow,
    ApiStopped,
    JobDeleted,
    NodeGone,
    PodGoes,
    WatchesCut,
)
from .common_faults import (
    ClockJumps,
    FullDisk,
    KillKernel,
    KillServer,
    KillShard,
    KillStack,
    KillSupervisor,
    KillTraining,
    KillWorker,
    StopServer,
    StopTraining,
    StopWorker,
)
from .harm import Fault
from .service_faults import (
    PostgresKilled,
    PostgresSessionsEnded,
    S3AnswersCut,
    S3Killed,
    S3Stopped,
    WayCut,
    WayHeld,
)

FAULTS: dict[str, tuple[Fault, int]] = {
    "worker killed": (KillWorker(), 10),
    "server killed": (KillServer(), 8),
    "supervisor killed": (KillSupervisor(), 4),
    "whole stack killed": (KillStack(), 2),
    "kernel killed": (KillKernel(), 8),
    "worker stopped": (StopWorker(), 4),
    "server stopped": (StopServer(), 3),
    "home's disk full": (FullDisk("home"), 2),
    "workers' clock jumped": (ClockJumps("workers"), 2),
    "jobs' clock jumped": (ClockJumps("jobs"), 2),
    "pod killed": (KillTraining(), 12),
    "pod stopped": (StopTraining(), 4),
    "shard process killed": (KillShard(), 5),
    "pod evicted": (PodGoes("evicted"), 6),
    "pod preempted": (PodGoes("preempted"), 2),
    "pod deleted": (PodGoes("deleted"), 5),
    "Job deleted": (JobDeleted(), 3),
    "node gone": (NodeGone(), 4),
    "API server stopped": (ApiStopped(), 4),
    "API server restarted": (ApiRestarted(), 4),
    "watches cut": (WatchesCut(), 5),
    "answer lost": (AnswerLost(), 5),
    "API server refuses": (ApiRefuses(), 3),
    "API server slow": (ApiSlow(), 2),
    "S3 killed": (S3Killed(), 4),
    "S3 stopped": (S3Stopped(), 3),
    "S3 cut off": (WayCut("s3"), 4),
    "S3 answers cut": (S3AnswersCut(), 5),
    "PostgreSQL killed": (PostgresKilled(), 4),
    "PostgreSQL sessions ended": (PostgresSessionsEnded(), 5),
    "PostgreSQL cut off": (WayCut("postgres"), 4),
    "PostgreSQL silent": (WayHeld("postgres"), 3),
}
"""Each kind of fault, and how often it comes."""
