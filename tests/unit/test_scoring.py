"""Models that are found for a batch inference."""

import subprocess
import sys

PROGRAM = """
import sys
from mltemporal.scoring import find_model

class Scaled:
    def __init__(self, by):
        self.by = by
    def predict(self, table):
        return table["x"] * self.by

print(find_model(None, Scaled(int(sys.argv[1]))).meaning.sha256)
"""


def meaning(by: int) -> str:
    ended = subprocess.run(
        [sys.executable, "-c", PROGRAM, str(by)], capture_output=True, text=True, check=True
    )
    return ended.stdout.strip()


def test_a_notebook_s_own_model_is_the_same_in_another_kernel_and_another_one_is_not() -> None:
    assert meaning(3) == meaning(3)
    assert meaning(3) != meaning(4)
