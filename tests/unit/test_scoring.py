"""Models that are found for a batch inference."""

import subprocess
import sys

PROGRAM = """
import sys
{imports}
from mltemporal.scoring import find_model
from mltemporal.storage.content import Storage

class Scaled:
    def __init__(self, by):
        self.by = by
    def predict(self, table):
        return table["x"] * self.by

found = find_model(None, Scaled(int(sys.argv[1])))
print(found.meant(found.store(Storage(sys.argv[2]))))
"""


def meant(by: int, folder: object, *, imports: str = "") -> str:
    """What a kernel that has imported other things besides says of its model."""
    program = PROGRAM.format(imports=imports)
    ended = subprocess.run(
        [sys.executable, "-c", program, str(by), str(folder)], capture_output=True, text=True, check=True
    )
    return ended.stdout.strip()


def test_a_notebook_s_own_model_is_the_same_in_another_kernel_and_another_one_is_not(tmp_path) -> None:
    assert meant(3, tmp_path) == meant(3, tmp_path, imports="import sklearn.base")
    assert meant(3, tmp_path) != meant(4, tmp_path)
