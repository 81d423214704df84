"""Which modules are the user's own and travel with their code.

A module is the user's own when its file is neither in the standard library nor in a
site-packages folder, and it is no package that an editable install provides: in practice the
modules of the working directory and of folders that the user put on ``sys.path``.
"""

from __future__ import annotations

import dis
import importlib
import importlib.util
import os
import site
import sys
import sysconfig
from collections.abc import Iterator
from functools import lru_cache
from pathlib import Path
from types import CodeType, FunctionType, ModuleType

from mltemporal.errors import InvalidTrainer


def is_own(module: ModuleType) -> bool:
    """Whether ``module`` is the user's own."""
    if not issubclass(type(module), ModuleType):  # `_cffi_backend.Lib`, say, only claims to be one
        return False
    facts = ModuleType.__getattribute__(module, "__dict__")  # plain access would load a lazy module
    name, file = facts.get("__name__"), facts.get("__file__")
    if not isinstance(file, str) or not isinstance(name, str) or sys.modules.get(name) is not module:
        return False
    if name in ("__main__", "__mp_main__"):
        return False
    return _is_own(name.partition(".")[0], file)


_judged: dict[str, tuple[object, bool]] = {}
"""A kernel has thousands of modules, and each launch looks at all of them."""


def own_modules() -> list[ModuleType]:
    """Return the user's own modules among those that are loaded."""
    found = []
    for name, module in list(sys.modules.items()):
        judged = _judged.get(name)
        if judged is None or judged[0] is not module:  # new, or loaded anew, since the last look
            own = isinstance(module, ModuleType) and is_own(module)
            judged = _judged[name] = (module, own)
        if judged[1]:
            found.append(module)
    return found


def imported_by(function: FunctionType) -> Iterator[ModuleType]:
    """Yield the user's own modules that the function's body imports, their packages included.

    One that is not loaded yet is imported now, so that what travels is what the kernel has.

    Raises:
        InvalidTrainer: such a module cannot be imported.
    """
    package = function.__globals__.get("__package__") or ""
    for name in sorted(_imported_names(function.__code__, package)):
        parts = name.split(".")
        for end in range(1, len(parts) + 1):
            module = _own_module(".".join(parts[:end]), function)
            if module is None:
                break
            yield module


def all_code(code: CodeType) -> Iterator[CodeType]:
    """Yield ``code`` and the code of everything that is defined in it."""
    yield code
    for const in code.co_consts:
        if isinstance(const, CodeType):
            yield from all_code(const)


def _imported_names(code: CodeType, package: str) -> set[str]:
    names: set[str] = set()
    for part in all_code(code):
        instructions = list(dis.get_instructions(part))
        for i, instruction in enumerate(instructions):
            if instruction.opname != "IMPORT_NAME":
                continue
            level, members = instructions[i - 2].argval, instructions[i - 1].argval  # pushed just before
            name = instruction.argval
            if level:
                if not package:
                    continue
                name = importlib.util.resolve_name("." * level + name, package)
            names.add(name)
            names.update(f"{name}.{member}" for member in members or ())
    return names


def _own_module(name: str, function: FunctionType) -> ModuleType | None:
    if name in sys.modules:
        module = sys.modules[name]
        return module if isinstance(module, ModuleType) and is_own(module) else None
    try:
        spec = importlib.util.find_spec(name)
    except (ImportError, AttributeError, ValueError):
        return None
    if spec is None or not isinstance(spec.origin, str) or not spec.has_location:
        return None
    if not _is_own(name.partition(".")[0], spec.origin):
        return None
    try:
        return importlib.import_module(name)
    except Exception as error:  # whatever the user's module does when it is imported
        raise InvalidTrainer(
            f"module {name!r}, which {function.__name__}() imports, cannot be imported: "
            f"{type(error).__name__}: {error}",
            f"correct {spec.origin!r}",
        ) from error


@lru_cache(maxsize=8192)
def _is_own(top_level: str, file: str) -> bool:
    if top_level == "mltemporal" or top_level in sys.stdlib_module_names:
        return False
    path = os.path.realpath(file)
    if "site-packages" in path.split(os.sep) or "dist-packages" in path.split(os.sep):
        return False
    if any(path.startswith(folder) for folder in _library_folders()):
        return False
    return top_level not in _editable_packages()


@lru_cache(maxsize=1)
def _library_folders() -> tuple[str, ...]:
    names = ("stdlib", "platstdlib", "purelib", "platlib")
    return tuple({os.path.realpath(sysconfig.get_path(name)) + os.sep for name in names})


@lru_cache(maxsize=1)
def _editable_packages() -> frozenset[str]:
    """Return the top-level packages that editable installs provide.

    They are found as folders beside which a ``.pth`` file points, or in the mapping of
    setuptools' import hooks. Single modules beside such a package stay the user's own.
    """
    folders = {sysconfig.get_path("purelib"), sysconfig.get_path("platlib"), site.getusersitepackages()}
    found: set[str] = set()
    for hook in list(sys.modules):
        if hook.startswith("__editable__"):
            found.update(getattr(sys.modules[hook], "MAPPING", {}))
    for pth in [pth for folder in folders if os.path.isdir(folder) for pth in Path(folder).glob("*.pth")]:
        for line in pth.read_text(errors="replace").splitlines():
            root = Path(line.strip())
            if line.strip() and not line.startswith("import") and root.is_dir():
                found.update(init.parent.name for init in root.glob("*/__init__.py"))
    return frozenset(found)
