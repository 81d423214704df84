import asyncio
import subprocess
import sys

import pytest

from mltemporal.notebook import nest


def test_outside_a_loop_nothing_is_applied():
    assert "" == nest.nest()


@pytest.mark.parametrize(
    ("version", "hangs"), [("6.29.5", False), ("7.2.0", False), ("7.3.0a1", True), ("7.4.0", True)]
)
def test_the_original_hangs_from_ipykernel_7_3_on(monkeypatch, version, hangs):
    monkeypatch.setattr(nest, "version", lambda _: version)

    assert hangs == nest.original_hangs()


def test_in_a_loop_a_nested_run_works():
    program = (
        "import asyncio, mltemporal\n"
        "async def main():\n"
        "    print(mltemporal.nest())\n"
        "    print(asyncio.run(asyncio.sleep(0, 'nested')))\n"
        "asyncio.run(main())\n"
    )

    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)

    assert ["nest-asyncio2", "nested"] == done.stdout.split()


def test_the_original_is_warned_about_where_it_hangs(monkeypatch):
    monkeypatch.setattr(nest, "version", lambda _: "7.4.0")
    assert "" == nest.warning_for_original()

    monkeypatch.setattr(asyncio, "_nest_patched", True, raising=False)
    assert "nest-asyncio2 >= 1.7.3" in nest.warning_for_original()

    monkeypatch.setattr(asyncio, "_nest_asyncio2", True, raising=False)
    assert "" == nest.warning_for_original()
