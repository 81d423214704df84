"""The workflows, one file each, and the activities that they name."""
