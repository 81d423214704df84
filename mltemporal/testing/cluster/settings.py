"""How the stand-in behaves where real clusters differ, or are slower than a test wants to wait."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal


@dataclass(frozen=True, kw_only=True)
class Settings:
    """All settings; the defaults suit tests."""

    run: Literal["process", "simulated"] = "process"
    """``process``: containers are real processes. ``simulated``: they only print progress lines."""
    simulated_steps: int = 5
    """Progress lines of a simulated container."""
    simulated_interval_s: float = 1.0
    """Seconds between two of them."""
    image_env: Mapping[str, str] = field(default_factory=dict)
    """Environment of every container, as an image's ``ENV`` would set it."""
    entrypoints: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    """What an image runs where the pod names no command."""
    pull_backoff_s: float = 1.0
    """Between two attempts to pull an image; the real kubelet waits 10 s, doubling up to 5 min."""
    config_retry_s: float = 0.5
    """Between two looks for a missing Secret or ConfigMap; the real kubelet waits seconds to minutes."""
    crash_backoff_s: float = 1.0
    """Before a container's restart, doubling; really 10 s up to 5 min."""
    pod_failure_backoff_s: float = 1.0
    """Before a Job's new pod after a failed one, doubling; really 10 s up to 10 min."""
    create_retry_s: float = 1.0
    """Before a Job's next attempt to create a refused pod, doubling up to 60 s."""
    bookmark_s: float = 60.0
    """Between two bookmarks of a watch."""
    log_bytes: int = 10 * 2**20
    """A container's log is rotated at this size; what went before can no longer be read."""
    memory_poll_s: float = 0.25
    """Between two looks at the memory of containers that have a limit."""
