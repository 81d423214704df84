"""`nest`: for people who drive their own async code by a plain call in a notebook."""

from __future__ import annotations

import asyncio
from importlib.metadata import version


def nest() -> str:
    """Let ``asyncio.run`` and ``loop.run_until_complete`` work inside the kernel's running loop.

    Opt-in: nothing of mltemporal needs it, and it is never applied by itself. Does nothing where
    no loop runs. Takes nest-asyncio where that works, and its fork nest-asyncio2 from ipykernel
    7.3 on, where the original hangs the notebook. Applying it again does nothing.

    Returns:
        What was applied: ``nest-asyncio``, ``nest-asyncio2``, or an empty text for nothing.

    Raises:
        ValueError: the running loop is uvloop's, which neither can patch.
    """
    try:
        loop = asyncio.get_running_loop()
    except RuntimeError:
        return ""
    if original_hangs():
        import nest_asyncio2

        nest_asyncio2.apply(loop)
        return "nest-asyncio2"
    import nest_asyncio

    nest_asyncio.apply(loop)
    return "nest-asyncio"


def original_hangs() -> bool:
    """Whether the original nest-asyncio would hang this kernel: "cannot enter context"."""
    major, minor = (int(part) for part in version("ipykernel").split(".")[:2])
    return (major, minor) >= (7, 3)


def warning_for_original() -> str:
    """Return what to say when somebody applied the original where it hangs; empty text else."""
    applied = hasattr(asyncio, "_nest_patched") and not hasattr(asyncio, "_nest_asyncio2")
    if not (applied and original_hangs()):
        return ""
    return (
        "nest_asyncio is applied in this kernel and can hang cells with this version of ipykernel. "
        "Restart the kernel and use mltemporal.nest(), or nest-asyncio2 >= 1.7.3, instead."
    )
