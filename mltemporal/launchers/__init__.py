"""Where a job's process runs: one port, an implementation for each kind of place."""
