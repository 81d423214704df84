"""What a run came to, as a table."""

from __future__ import annotations

from collections import Counter

from .run import Outcome


def table(outcome: Outcome) -> str:
    """Return the figures of a run as Markdown."""
    record = outcome.record
    by_kind: dict[str, Counter[str]] = {}
    attempts: Counter[str] = Counter()
    for work, job in record.jobs():
        by_kind.setdefault(work.kind, Counter())[job.status] += 1
        attempts[work.kind] += job.attempts
    jobs = sum(sum(counts.values()) for counts in by_kind.values())
    lines = [
        f"On {outcome.world}: "
        f"{jobs} jobs, {sum(outcome.faults.values())} faults, **{outcome.broken} violations**; "
        f"seed {outcome.seed}, {outcome.took_s / 60:.0f} minutes, "
        f"all at rest {outcome.settled_s:.0f} s after the last fault.",
        "",
        "| jobs | succeeded | failed | cancelled | attempts |",
        "| --- | --- | --- | --- | --- |",
        *(
            _row(kind, *(counts[end] for end in ("succeeded", "failed", "cancelled")), attempts[kind])
            for kind, counts in sorted(by_kind.items())
        ),
        "",
        "| fault | times |",
        "| --- | --- |",
        *(_row(kind, times) for kind, times in outcome.faults.most_common()),
        "",
        "| what must hold | violations |",
        "| --- | --- |",
        *(_row(name, len(found)) for name, found in outcome.breaches.items()),
    ]
    if recalled := sum(job.recalled for _, job in record.jobs()):
        lines += [f"\n{recalled} points were read beside checkpoints: their pods' logs had gone unread."]
    lines += [f"\nLeft out: {why}." for why in outcome.left_out]
    return "\n".join(lines) + "\n"


def _row(*cells: object) -> str:
    return f"| {' | '.join(map(str, cells))} |"


def violations(outcome: Outcome, again: str) -> str:
    """Return each violation, with how to run it again; empty where there is none."""
    if not outcome.broken:
        return ""
    lines = [f"{outcome.broken} violations; logs are kept in {outcome.folder}; run it again: {again}"]
    for name, found in outcome.breaches.items():
        lines += [f"  {name}: {each}" for each in found[:20]]
    return "\n".join(lines)
