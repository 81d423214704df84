"""``%load_ext mltemporal``: the services come up, the verbs and the magics are there."""

from __future__ import annotations

import contextlib
import importlib
import threading
import warnings
from collections.abc import Callable
from contextvars import Context
from typing import Any

import mltemporal
from mltemporal.errors import MLTemporalError
from mltemporal.notebook import completion, nest, presenter

VERBS = (
    "train", "preprocess", "predict", "monitor", "health", "jobs", "job", "history", "datasets", "models",
    "connect", "status", "shutdown",
)  # fmt: skip
"""What goes into the namespace, as far as this version has it."""

START_WAIT_S = 2.0
"""How long loading waits for the services before it lets them come up in the background."""

UPGRADE_WAIT_S = 30.0
"""How long it waits for services that take over from older ones: what was upgraded is to be read at once."""

_loaded: dict[int, Extension] = {}


class Extension:
    """What was put into one shell, so that it can be taken out again."""

    def __init__(self, ip: Any) -> None:
        self._ip = ip
        self._names: dict[str, object] = {}
        self._magics: Any = None
        self._uninstall: Callable[[], None] = lambda: None

    def load(self) -> None:
        """Bring everything in and say what is there."""
        from mltemporal.notebook.magics import MLTemporalMagics

        starting = _Starting()
        self._uninstall = presenter.install(self._ip)
        self._magics = MLTemporalMagics(self._ip)
        self._ip.register_magics(self._magics)
        self._ip.Completer.custom_matchers.append(completion.matcher)
        self._ip.events.register("post_run_cell", self._watch_for_nest)
        self._push()
        starting.say()
        if presenter.has_kernel(self._ip):
            # The first train() shall not wait for the widget library.
            live = "mltemporal.notebook.live"
            threading.Thread(target=importlib.import_module, args=(live,), daemon=True).start()

    def unload(self) -> None:
        """Take out what is still ours."""
        self._uninstall()
        self._ip.drop_by_id(self._names)
        with contextlib.suppress(ValueError):
            self._ip.Completer.custom_matchers.remove(completion.matcher)
        with contextlib.suppress(ValueError):
            self._ip.events.unregister("post_run_cell", self._watch_for_nest)
        for kind, names in self._magics.magics.items():
            for name in names:
                self._ip.magics_manager.magics[kind].pop(name, None)

    def _push(self) -> None:
        from mltemporal.handles import Job

        taken = []
        ours = {name: getattr(mltemporal, name) for name in VERBS if name in mltemporal.__all__}
        for name, value in {"mltemporal": mltemporal, **ours}.items():
            if self._ip.user_ns.get(name, value) is value:
                self._names[name] = value
            elif not isinstance(self._ip.user_ns[name], Job):  # `job = train(…)` is how we teach it
                taken.append(name)
        self._ip.push(self._names, interactive=False)
        for name in taken:
            print(f"{name!r} is a name of yours and stays so; ours is mltemporal.{name}")  # noqa: T201

    def _watch_for_nest(self, *_: object) -> None:
        if text := nest.warning_for_original():
            self._ip.events.unregister("post_run_cell", self._watch_for_nest)
            warnings.warn(text, RuntimeWarning, stacklevel=2)


class _Starting:
    """The services on their way up, in a thread of their own."""

    def __init__(self) -> None:
        self._outcome = ""
        self._wait_s = START_WAIT_S
        self._looked = threading.Event()
        self._thread = threading.Thread(
            target=lambda: Context().run(self._start), name="mltemporal-start", daemon=True
        )
        self._thread.start()

    def _start(self) -> None:
        from mltemporal import stack
        from mltemporal.settings import process_settings
        from mltemporal.stack import up
        from mltemporal.stack.succession import is_older

        told: list[str] = []
        try:
            settings = process_settings()
            if (before := stack.state(settings)) is not None and is_older(before):
                self._wait_s = UPGRADE_WAIT_S
            self._looked.set()
            state = up(settings, tell=told.append)
        except MLTemporalError as error:
            self._outcome = f"the services did not start: {error}"
            self._looked.set()
        else:
            self._outcome = f"Temporal at {state.temporal_address}" + (
                state.web_ui and f", Web UI {state.web_ui}"
            )
            self._outcome = "\n".join([self._outcome, *told])

    def say(self) -> None:
        """Print what is there, or that it is still coming."""
        self._looked.wait(UPGRADE_WAIT_S)  # a look into a file: how long to wait follows from it
        self._thread.join(self._wait_s)
        outcome = self._outcome or "the services are starting; train() waits for them"
        print(f"mltemporal {mltemporal.__version__}: {outcome}")  # noqa: T201


def load(ip: Any) -> None:
    """Bring the extension into the shell ``ip``; loading it again only says that it is there."""
    if id(ip) in _loaded:
        print("mltemporal is loaded already; %reload_ext mltemporal brings its names back.")  # noqa: T201
        return
    extension = Extension(ip)
    extension.load()
    _loaded[id(ip)] = extension


def unload(ip: Any) -> None:
    """Take the extension out of the shell ``ip``; names that the user took over stay. Idempotent."""
    if extension := _loaded.pop(id(ip), None):
        extension.unload()
