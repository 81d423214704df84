"""What a table is like, whether it is as expected, and whether another one is still like it."""
