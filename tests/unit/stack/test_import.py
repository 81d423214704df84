"""Importing the package costs nothing, and its names are what they say."""

import subprocess
import sys

from mltemporal import stack


def test_importing_the_stack_loads_nothing_heavy() -> None:
    program = (
        "import sys, mltemporal.stack.control, mltemporal.stack.supervisor\n"
        "heavy = {'temporalio', 'sqlalchemy', 'alembic', 'pandas', 'psutil', 'asyncio'}\n"
        "print(sorted(heavy & set(sys.modules)))"
    )
    result = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert "[]\n" == result.stdout


def test_every_public_name_is_a_function_or_a_class() -> None:
    assert [] == [name for name in stack.__all__ if not callable(getattr(stack, name))]
    assert sorted(stack.__all__) == dir(stack)
