import importlib
import io
import logging
import pickle
import socket
import sqlite3
import subprocess
import sys
import textwrap
import threading
import traceback
from collections.abc import Callable, Iterator
from dataclasses import replace
from functools import partial
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import pandas as pd
import pytest
from IPython.core.interactiveshell import InteractiveShell
from sklearn.dummy import DummyClassifier
from sklearn.linear_model import Ridge
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import FunctionTransformer
from traitlets.config import Config

from mltemporal.code import capturing
from mltemporal.code.capturing import capture
from mltemporal.code.modules import own_modules
from mltemporal.code.restoring import restore
from mltemporal.code.script import Script
from mltemporal.code.versions import check_environment
from mltemporal.errors import InvalidTrainer, VersionMismatch
from mltemporal.specs.request import TrainerRef
from mltemporal.storage.content import Storage


@pytest.fixture
def storage(tmp_path: Path) -> Storage:
    return Storage(str(tmp_path / "storage"))


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A working directory of the user's; what is imported from it is forgotten afterwards."""
    folder = tmp_path / "project"
    folder.mkdir()
    monkeypatch.chdir(folder)
    monkeypatch.syspath_prepend(str(folder))
    before = set(sys.modules)
    yield folder
    for name in set(sys.modules) - before:
        if str(getattr(sys.modules[name], "__file__", "")).startswith(str(folder)):
            del sys.modules[name]


def write(path: Path, text: str) -> None:
    path.parent.mkdir(exist_ok=True)
    path.write_text(textwrap.dedent(text))


def notebook(cell: str, **names: object) -> dict[str, Any]:
    """Return the names of a module ``__main__`` in which ``cell`` was run, as a notebook would."""
    main: dict[str, Any] = {"__name__": "__main__", **names}
    exec(compile(textwrap.dedent(cell), "<cell>", "exec", dont_inherit=True), main)
    return main


def new_shell() -> InteractiveShell:
    return InteractiveShell(config=Config({"HistoryManager": {"enabled": False}}))


def refusal(trainer: object, params: dict[str, Any] | None = None) -> str:
    with pytest.raises(InvalidTrainer) as caught:
        capture(trainer, params)
    return str(caught.value)


def run_elsewhere(ref: TrainerRef, storage: Storage, folder: Path, data: object = 1) -> str:
    """Call the restored function in a process that finds none of the user's modules."""
    program = f"""
        import sys
        import msgspec
        from mltemporal.code.restoring import restore
        from mltemporal.specs.request import TrainerRef
        from mltemporal.storage.content import Storage
        ref = msgspec.json.decode(sys.argv[1], type=TrainerRef)
        function, params = restore(ref, Storage({storage.url!r}))
        print(function({data!r}, **params))
    """
    import msgspec

    done = subprocess.run(
        [sys.executable, "-I", "-c", textwrap.dedent(program), msgspec.json.encode(ref).decode()],
        cwd="/",
        capture_output=True,
        text=True,
        check=False,
    )
    assert "" == done.stderr
    return done.stdout.strip()


# The four kinds of trainer


def test_no_trainer_is_the_baseline_with_its_parameters(storage: Storage) -> None:
    ref = capture(None, {"max_iter": 50, "early_stopping": True}).store(storage)
    assert ("baseline", {"max_iter": "50", "early_stopping": "True"}) == (ref.kind, ref.params)
    assert {"max_iter": 50, "early_stopping": True} == restore(ref, storage)
    assert {} == restore(capture(None).store(storage), storage)


def test_an_estimator_is_cloned_and_takes_the_parameters(storage: Storage) -> None:
    ridge = Ridge(alpha=1.0).fit([[1.0], [2.0]], [1.0, 2.0])
    ref = capture(ridge, {"alpha": 3.0}).store(storage)
    restored = restore(ref, storage)
    assert ("estimator", "Ridge", {"alpha": "3.0"}) == (ref.kind, ref.label, ref.params)
    assert (3.0, 1.0) == (restored.alpha, ridge.alpha)
    assert not hasattr(restored, "coef_")


def test_parameters_reach_into_a_pipeline(storage: Storage) -> None:
    pipeline = make_pipeline(FunctionTransformer(lambda x: x * 2), Ridge())
    restored = restore(capture(pipeline, {"ridge__alpha": 5}).store(storage), storage)
    assert 5 == restored["ridge"].alpha
    assert 4 == restored[0].transform(2)


def test_a_function_comes_back_with_its_parameters(storage: Storage) -> None:
    scale = 3
    function, params = restore(capture(lambda data, by: data * by * scale, {"by": 2}).store(storage), storage)
    assert 12 == function(2, **params)


@pytest.mark.parametrize(
    "trainer", [len, partial(max, 1), "".join, type("Fit", (), {"__call__": lambda s, d: d})()]
)
def test_whatever_can_be_called_with_the_data_is_a_function(trainer: Callable[..., Any]) -> None:
    assert "function" == capture(trainer).kind


def test_a_script_takes_parameters_as_options(storage: Storage, folder: Path) -> None:
    write(folder / "train.py", "print('loss=1')")
    script = Script("train.py", args=("run", 3), metrics={"loss": r"loss=(\S+)"})
    ref = capture(script, {"lr": 0.1, "verbose": True, "quiet": False}).store(storage)
    assert ("run", "3", "--lr=0.1", "--verbose") == ref.args
    assert (str(folder / "train.py"), "train.py") == (ref.path, ref.label)
    assert {"loss": r"loss=(\S+)"} == ref.metric_patterns
    assert b"print('loss=1')" == restore(ref, storage)


def test_nothing_is_stored_by_the_check(tmp_path: Path) -> None:
    capture(Ridge())
    assert [] == list(tmp_path.iterdir())


# What is refused


def fit(data: object, lr: float, *, depth: int = 3) -> None: ...


async def fit_async(data: object) -> None: ...


def fit_lazily(data: object) -> Any:
    yield data


@pytest.mark.parametrize(
    ("trainer", "params", "expected"),
    [
        (
            fit,
            {"lr": 1, "dept": 2},
            "fit() has no parameter 'dept'\nNext step: parameters are lr, depth",
        ),
        (fit, {}, "fit() needs 'lr' beside the data\nNext step: pass params={\"lr\": ...}"),
        (
            fit,
            {"lr": 1, "data": 2},
            "fit() gets the dataset as 'data'\nNext step: leave 'data' out of params",
        ),
        (
            lambda data, **rest: rest,
            {"data": 2},
            "<lambda>() gets the dataset as 'data'\nNext step: leave 'data' out of params",
        ),
        (
            lambda: 1,
            {},
            "<lambda>() takes no data\nNext step: give it a first argument: def <lambda>(data, **params)",
        ),
        (Ridge, {}, "Ridge is a class\nNext step: pass an instance: Ridge()"),
        (dict, {}, "dict is a class and cannot train\nNext step: pass an estimator or a function fit(data)"),
        (
            DummyClassifier(),
            {"strateg": 1},
            "DummyClassifier has no parameter 'strateg'\n"
            "Next step: parameters are constant, random_state, strategy",
        ),
        (
            fit_async,
            {},
            "fit_async is asynchronous or a generator; calling it does not train\n"
            "Next step: pass a plain function fit(data)",
        ),
        (
            fit_lazily,
            {},
            "fit_lazily is asynchronous or a generator; calling it does not train\n"
            "Next step: pass a plain function fit(data)",
        ),
        (
            3,
            {},
            "a int cannot train\nNext step: pass a scikit-learn-compatible estimator, "
            "a function fit(data, **params), Script('train.py') or Container('image')",
        ),
    ],
)
def test_a_trainer_that_cannot_be_called_is_refused(
    trainer: object, params: dict[str, Any], expected: str
) -> None:
    assert expected == refusal(trainer, params)


def test_the_baseline_lists_its_parameters() -> None:
    assert refusal(None, {"max_itr": 1}).startswith(
        "the baseline has no parameter 'max_itr'\nNext step: parame"
    )
    assert refusal(None, {"max_iter": object()}).startswith("a parameter of the baseline is no plain value")


@pytest.mark.parametrize(
    ("text", "options", "expected"),
    [
        (None, {}, "script 'train.py' does not exist"),
        ("x = 1\nif x\n", {}, "script 'train.py' does not compile: line 2: expected ':'"),
        ("x = '\0'", {}, "script 'train.py' "),
        ("", {"args": "--lr 1"}, "args is one text: '--lr 1'"),
        ("", {"metrics": {"loss": "("}}, "the pattern of metric 'loss' is no regular expression"),
        ("", {"metrics": {"loss": "loss"}}, "the pattern of metric 'loss' has 0 groups instead of one"),
    ],
)
def test_a_script_that_cannot_run_is_refused(
    folder: Path, text: str | None, options: dict[str, Any], expected: str
) -> None:
    if text is not None:
        write(folder / "train.py", text)
    assert refusal(Script("train.py", **options)).startswith(expected)


# What cannot be shipped


@pytest.fixture(params=["file to write", "file to read", "lock", "database", "socket", "generator", "thread"])
def unshippable(request: pytest.FixtureRequest, tmp_path: Path) -> Any:
    path = tmp_path / "x.log"
    path.touch()
    make: dict[str, Callable[[], tuple[Any, str]]] = {
        "file to write": lambda: (path.open("w"), "an open file"),
        "file to read": lambda: (path.open(), "an open file"),
        "lock": lambda: (threading.Lock(), "a lock"),
        "database": lambda: (sqlite3.connect(":memory:"), "a database connection"),
        "socket": lambda: (socket.socket(), "a network connection"),
        "generator": lambda: ((i for i in range(3)), "a generator"),
        "thread": lambda: (threading.Thread(target=print), "a thread"),
    }
    thing, kind = make[request.param]()
    yield thing, kind
    if hasattr(thing, "close"):
        thing.close()


CELLS = {
    "global 'thing' used by fit()": "def fit(data): return thing",
    "global 'thing' used by helper()": "def helper(): return thing\ndef fit(data): return helper()",
    "[1] of ['k'] of global 'box' used by fit()": "box = {'k': [0, thing]}\ndef fit(data): return box",
    "the default of 'x' used by fit()": "def fit(data, x=thing): return x",
    "variable 'inner' used by fit()": (
        "def make(inner):\n  def fit(data): return inner\n  return fit\nfit = make(thing)"
    ),
    ".part of global 'own' used by fit()": (
        "class Own:\n  def __init__(self, part): self.part = part\n"
        "own = Own(thing)\ndef fit(data): return own"
    ),
    "'part' of class Own": "class Own:\n  part = thing\ndef fit(data): return Own",
}


@pytest.mark.parametrize("where", CELLS)
def test_the_culprit_is_named_with_its_place(unshippable: tuple[object, str], where: str) -> None:
    thing, kind = unshippable
    text = refusal(notebook(CELLS[where], thing=thing)["fit"])
    assert text.startswith(f"fit cannot be shipped: {where} is {kind} (")
    assert "inside the function" in text


def test_a_culprit_among_the_parameters_is_named(unshippable: tuple[object, str]) -> None:
    thing, kind = unshippable
    assert refusal(lambda data, x: x, {"x": thing}).startswith(
        f"<lambda> cannot be shipped: parameter 'x' is {kind} ("
    )


def test_a_culprit_in_an_estimator_is_named() -> None:
    text = refusal(FunctionTransformer(kw_args={"lock": 1}), {"kw_args": {"f": io.FileIO(0, closefd=False)}})
    assert text.startswith(
        "FunctionTransformer cannot be shipped: ['f'] of .kw_args of FunctionTransformer is an"
    )


def test_a_culprit_in_a_helper_module_is_named(folder: Path) -> None:
    write(folder / "locking.py", "import threading\nLOCK = threading.Lock()\ndef use(x): return x")
    locking = importlib.import_module("locking")
    text = refusal(notebook("def fit(data): return locking.use(data)", locking=locking)["fit"])
    assert text.startswith("fit cannot be shipped: 'LOCK' of module 'locking' is a lock (")


def test_something_else_that_cannot_be_pickled_says_why() -> None:
    class Stubborn:
        def __reduce__(self) -> Any:
            raise RuntimeError("not me")

        def __repr__(self) -> str:
            return "Stubborn()"

    box = [Stubborn()]
    assert (
        "<lambda> cannot be shipped: [0] of variable 'box' used by <lambda>() (Stubborn()) "
        "cannot be pickled: not me\nNext step: create it inside the function, or pass plain values"
    ) == refusal(lambda data: box)


def test_a_function_that_drags_data_along_is_refused_by_size(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(capturing, "LIMIT_BYTES", 2 << 20)
    small, large = np.zeros(1000), np.zeros(400_000)
    assert (
        "<lambda> and what it refers to are larger than 2 MiB; the largest is variable 'large' used by "
        "<lambda>() with 3 MiB\nNext step: pass the data as the dataset, or load it inside the function"
    ) == refusal(lambda data: (small, large))


def test_streams_and_loggers_are_no_obstacle(storage: Storage) -> None:
    log = logging.getLogger("mine")

    def fit(data: object, out: object = sys.stdout) -> tuple[object, object]:
        return log, out

    function, _ = restore(capture(fit).store(storage), storage)
    assert (log, sys.stdout) == (function(1)[0], sys.stdout)


# Code by value


def test_helper_modules_of_the_working_directory_come_along(storage: Storage, folder: Path) -> None:
    write(folder / "helpers.py", "import deeper\nFACTOR = 2\ndef scale(x): return deeper.plus(x) * FACTOR")
    write(folder / "deeper.py", "def plus(x): return x + 1")
    helpers = importlib.import_module("helpers")
    by_module = notebook("def fit(data): return helpers.scale(data)", helpers=helpers)["fit"]
    by_name = notebook("def fit(data): return scale(data)", scale=helpers.scale)["fit"]
    for function in (by_module, by_name, helpers.scale):
        assert "4" == run_elsewhere(capture(function).store(storage), storage, folder)


def test_packages_whose_modules_import_each_other_come_along(storage: Storage, folder: Path) -> None:
    write(folder / "pkg" / "__init__.py", "from pkg import one, two\nBASE = 10")
    write(folder / "pkg" / "one.py", "import pkg\ndef f(x): return pkg.two.g(x) + pkg.BASE")
    write(folder / "pkg" / "two.py", "from . import one\nclass Box:\n  n = 5\ndef g(x): return x + Box().n")
    pkg = importlib.import_module("pkg")
    function = notebook("def fit(data): return pkg.one.f(data)", pkg=pkg)["fit"]
    assert "16" == run_elsewhere(capture(function).store(storage), storage, folder)


def test_modules_that_a_function_imports_when_it_runs_come_along(storage: Storage, folder: Path) -> None:
    write(folder / "late.py", "def f(x):\n  from pkg2.sub import g\n  return g(x)")
    write(folder / "pkg2" / "__init__.py", "")
    write(folder / "pkg2" / "sub.py", "def g(x):\n  from .other import h\n  return h(x)")
    write(folder / "pkg2" / "other.py", "def h(x): return x * 7")
    function = notebook("def fit(data):\n  import late, math\n  return late.f(data)")["fit"]
    assert "7" == run_elsewhere(capture(function).store(storage), storage, folder)


def test_a_module_that_fails_to_import_is_named(folder: Path) -> None:
    write(folder / "broken.py", "1 / 0")
    text = refusal(notebook("def fit(data):\n  import broken")["fit"])
    assert text.startswith("module 'broken', which fit() imports, cannot be imported: ZeroDivisionError: ")


def test_what_travels_is_what_the_kernel_has_now(storage: Storage, folder: Path) -> None:
    write(folder / "changing.py", "VALUE = 1\ndef value(): return VALUE")
    changing = importlib.import_module("changing")
    function = notebook("def fit(data): return changing.value(), changing.VALUE", changing=changing)["fit"]
    changing.VALUE = 2
    write(folder / "changing.py", "VALUE = 'on disk'\ndef value(): return VALUE")
    assert "(2, 2)" == run_elsewhere(capture(function).store(storage), storage, folder)


def test_installed_packages_are_left_by_reference() -> None:
    payload = capture(lambda data: (np.mean(data), pd.DataFrame())).payload
    assert payload is not None
    assert len(payload) < 5000


def test_capturing_leaves_cloudpickle_as_it_was(folder: Path) -> None:
    import cloudpickle

    write(folder / "mine.py", "def f(x): return x")
    mine = importlib.import_module("mine")
    capture(mine.f)
    assert set() == set(cloudpickle.list_registry_pickle_by_value())


def test_restoring_puts_modules_into_place_and_loading_alone_does_not(storage: Storage, folder: Path) -> None:
    write(folder / "placed.py", "def f(x): return x")
    capture_ref = capture(notebook("def fit(data):\n  import placed\n  return placed.f(data)")["fit"]).store(
        storage
    )
    del sys.modules["placed"]
    assert capture_ref.code is not None
    pickle.loads(storage.get_bytes(capture_ref.code))
    assert "placed" not in sys.modules
    restore(capture_ref, storage)
    assert isinstance(sys.modules.pop("placed"), ModuleType)


def test_a_traceback_shows_the_text_of_the_cell(storage: Storage) -> None:
    shell = new_shell()
    shell.run_cell("secret = 'x'\n\ndef fit(data):\n    return data / 0  # here\n")
    ref = capture(shell.user_ns["fit"]).store(storage)
    import linecache

    linecache.clearcache()
    function, _ = restore(ref, storage)
    with pytest.raises(ZeroDivisionError) as caught:
        function(1)
    text = "".join(traceback.format_exception(caught.value))
    assert "return data / 0  # here" in text
    name = function.__code__.co_filename
    assert "secret" not in "".join(linecache.cache[name][2])
    del linecache.cache[name]


# The fingerprint

CELL = """
import numpy as np
import json
WORDS = {"alpha", "beta", "gamma", "delta"}
RATE = 0.1
TABLE = np.arange(5)
class Model:
    depth = 3
    def step(self, x):
        return x * RATE
def helper(x):
    if x in {"p", "q", "r"}:
        return helper(x)
    return Model().step(x), TABLE, [y for y in WORDS]
def fit(data, lr=0.5, *, opts=(1, "x")):
    return helper(data), json.dumps({})
"""


def fingerprint_of(cell: str, params: dict[str, Any] | None = None, name: str = "fit") -> str:
    shell = new_shell()
    shell.run_cell("1 + 1")
    shell.run_cell(cell).raise_error()
    return capture(shell.user_ns[name], params).fingerprint


def test_the_same_cell_run_again_has_the_same_fingerprint() -> None:
    shell = new_shell()
    found = set()
    for _ in range(2):
        shell.run_cell(CELL).raise_error()
        found.add(capture(shell.user_ns["fit"], {"lr": 1}).fingerprint)
    found.add(fingerprint_of(CELL, {"lr": 1}))
    assert 1 == len(found)


def test_comments_and_blank_lines_do_not_change_the_fingerprint() -> None:
    assert fingerprint_of(CELL) == fingerprint_of(
        "# a comment\n\n" + CELL.replace("RATE = 0.1", "RATE = .1  # !")
    )


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("RATE = 0.1", "RATE = 0.2"),
        ("np.arange(5)", "np.arange(6)"),
        ('"delta"}', '"epsilon"}'),
        ("depth = 3", "depth = 4"),
        ("x * RATE", "x + RATE"),
        ('{"p", "q", "r"}', '{"p", "q", "s"}'),
        ("lr=0.5", "lr=0.6"),
        ('(1, "x")', '(1, "y")'),
        ("json.dumps", "json.loads"),
        ("json.dumps({})", "json.dumps({}), 1"),
    ],
)
def test_any_change_of_code_or_of_what_it_refers_to_changes_the_fingerprint(old: str, new: str) -> None:
    assert old in CELL
    assert fingerprint_of(CELL) != fingerprint_of(CELL.replace(old, new))


def test_parameters_change_the_fingerprint() -> None:
    assert fingerprint_of(CELL, {"lr": 1}) != fingerprint_of(CELL, {"lr": 2})
    assert capture(Ridge(), {"alpha": 1}).fingerprint != capture(Ridge(), {"alpha": 2}).fingerprint
    assert capture(None, {"max_iter": 1}).fingerprint != capture(None, {"max_iter": 2}).fingerprint
    assert capture(Ridge(alpha=2)).fingerprint == capture(Ridge(), {"alpha": 2}).fingerprint


def test_another_process_finds_the_same_fingerprint() -> None:
    program = (
        "from IPython.core.interactiveshell import InteractiveShell\n"
        "from mltemporal.code.capturing import capture\n"
        f"shell = InteractiveShell()\nshell.run_cell({CELL!r})\n"
        "import sklearn.linear_model, pandas\n"
        "frame = pandas.DataFrame({'a': [1, 2], 'b': ['x', None]})\n"
        "print(capture(shell.user_ns['fit'], {'lr': frame}).fingerprint)\n"
        "print(capture(sklearn.linear_model.Ridge(alpha=2)).fingerprint)\n"
    )
    home = {"PATH": "", "HOME": "/nonexistent", "IPYTHONDIR": "/nonexistent"}
    running = [
        subprocess.Popen(
            [sys.executable, "-W", "ignore", "-c", program],
            env={**home, "PYTHONHASHSEED": seed},
            stdout=subprocess.PIPE,
            text=True,
        )
        for seed in ("1", "2")
    ]
    outputs = {process.communicate()[0] for process in running}
    assert [0, 0] == [process.returncode for process in running]
    assert 1 == len(outputs)
    assert 2 == len(outputs.pop().split())


def test_a_helper_module_changes_the_fingerprint_when_it_is_reloaded(folder: Path) -> None:
    write(folder / "tool.py", "def f(x): return x")
    tool = importlib.import_module("tool")
    by_global = notebook("def fit(data): return tool.f(data)", tool=tool)["fit"]
    by_import = notebook("def fit(data):\n  import tool\n  return tool.f(data)")["fit"]
    before = [capture(function).fingerprint for function in (by_global, by_import)]
    assert before == [capture(function).fingerprint for function in (by_global, by_import)]
    write(folder / "tool.py", "def f(x): return x + 11")
    importlib.invalidate_caches()
    importlib.reload(tool)
    after = [capture(function).fingerprint for function in (by_global, by_import)]
    assert all(x != y for x, y in zip(before, after, strict=True))


def test_objects_that_refer_to_each_other_have_a_fingerprint() -> None:
    ring: list[Any] = [1]
    ring.append(ring)
    assert capture(lambda data: ring).fingerprint == capture(lambda data: ring).fingerprint


# Versions


def test_versions_of_what_the_code_speaks_of_are_recorded(storage: Storage) -> None:
    versions = capture(Ridge()).versions
    assert {"python", "cloudpickle", "scikit-learn", "mltemporal"} <= versions.keys()
    assert f"{sys.version_info.major}.{sys.version_info.minor}" == versions["python"]
    assert "scikit-learn" not in capture(lambda data: 1).versions


@pytest.mark.parametrize(
    ("package", "version"),
    [
        ("python", "3.1"),
        ("scikit-learn", "1.0.2"),
        ("numpy", "1.26.4"),
        ("mltemporal", "0.0.1"),
        ("pandas", "1.5"),
    ],
)
def test_code_of_other_versions_is_not_unpickled(storage: Storage, package: str, version: str) -> None:
    ref = capture(Ridge()).store(storage)
    assert ref.code is not None
    other = replace(ref, versions={package: version}, code=replace(ref.code, sha256="0" * 64))
    with pytest.raises(VersionMismatch) as caught:
        restore(other, storage)
    assert f"launched with {package} {version}, and here is {package} " in caught.value.what
    assert caught.value.next_step.startswith("run the job where ")


def test_versions_that_differ_where_it_does_not_matter_are_accepted(storage: Storage) -> None:
    import sklearn

    ref = capture(Ridge()).store(storage)
    near = {
        "scikit-learn": ".".join([*sklearn.__version__.split(".")[:2], "999"]),
        "numpy": np.__version__.split(".")[0] + ".999",
        "pandas": pd.__version__.split(".")[0] + ".999",
    }
    assert isinstance(restore(replace(ref, versions=near), storage), Ridge)


def test_a_package_that_was_upgraded_under_the_kernel_asks_for_a_restart() -> None:
    check_environment(capture(Ridge()).versions)
    with pytest.raises(VersionMismatch) as caught:
        check_environment({"numpy": "0.0.1"})
    assert caught.value.what.startswith(
        "package numpy was changed after this kernel started: 0.0.1 is loaded, "
    )
    assert "restart the kernel" == caught.value.next_step


# What people see


def test_parameters_are_shown_short_and_secrets_not_at_all() -> None:
    class Rude:
        def __repr__(self) -> str:
            raise ValueError

    params = {
        "lr": 0.1,
        "long": "x" * 500,
        "rude": 1,
        "password": "p",
        "api_key": "k",
        "dbPassword": "q",
        "hf_token": "t",
        "max_tokens": 5,
    }
    shown = capture(lambda data, **params: 1, {**params, "rude": Rude()}).params
    hidden = {name for name, text in shown.items() if text == "•••"}
    assert {"password", "api_key", "dbPassword", "hf_token"} == hidden
    assert ("0.1", "5", 200) == (shown["lr"], shown["max_tokens"], len(shown["long"]))
    assert "<Rude, whose repr raises ValueError>" == shown["rude"]


def test_the_package_loads_no_library() -> None:
    program = (
        "import sys, mltemporal.code; print({'sklearn', 'pandas', 'cloudpickle', 'numpy'} & set(sys.modules))"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert "set()\n" == done.stdout


def test_what_only_claims_to_be_a_module_is_left_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    class Claims:
        __class__ = ModuleType  # as the libraries that cffi opens do

    monkeypatch.setitem(sys.modules, "claims_to_be_a_module", Claims())
    assert "claims_to_be_a_module" not in [getattr(module, "__name__", "") for module in own_modules()]
