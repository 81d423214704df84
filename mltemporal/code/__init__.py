"""The code that trains, on its way from a notebook cell to a job: checked, shipped by value, restored."""
