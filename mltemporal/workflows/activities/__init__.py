"""What workflows do to the world; the worker builds each class with the parts it needs."""
