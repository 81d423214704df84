"""Stand-ins for tests, of ours and of those who build on us."""
