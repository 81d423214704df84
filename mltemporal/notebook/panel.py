"""The live panel of a job: an anywidget that is told small differences.

Messages to the front end (frontend/src/store.js), numbered so that it sees a hole and asks::

    {"t": "update",   "seq": n, "now": …, "state": {what changed}, "series": [[metric, attempt, count], …]}
    {"t": "snapshot", "seq": n, "now": …, "state": {everything},   "series": …}

each with one buffer of float64 triples (time, step, value), series after series. From the
front end: ``{"t": "resync"}`` and ``{"t": "command", "name": "cancel" | "pause" | "resume"}``.
"""

from __future__ import annotations

import threading
import time
import uuid
from array import array
from collections.abc import Callable, Iterable
from importlib.resources import files
from typing import Any

import anywidget
import traitlets

from mltemporal.curves import Line
from mltemporal.notebook.picture import Picture
from mltemporal.views import JobView

COMMANDS = frozenset({"cancel", "pause", "resume"})

_ASSETS = files("mltemporal.notebook") / "assets"


class Panel(anywidget.AnyWidget):  # type: ignore[misc]  # anywidget has no stubs
    """Shows a `Picture` and what becomes of it.

    ``show`` may be called from any thread. ``command`` is called with a button's command, in
    whatever thread the kernel handles messages: it must only hand the command on.
    """

    _esm = (_ASSETS / "panel.js").read_text(encoding="utf-8")
    _css = (_ASSETS / "panel.css").read_text(encoding="utf-8")
    # Never set, so never sent as a change: serialized whenever a front end asks for the state.
    snapshot = traitlets.Any().tag(sync=True, to_json=lambda _, panel: panel._whole())  # noqa: SLF001
    twin = traitlets.Unicode().tag(sync=True)

    def __init__(self, picture: Picture, command: Callable[[str], object]) -> None:
        self._lock = threading.RLock()
        self._picture = picture
        self._told = picture.facts()
        self._seq = 0
        self._command = command
        super().__init__(twin=f"mltemporal-{uuid.uuid4().hex}")
        if hasattr(self.comm, "_reply_subshell_for"):
            # ipykernel 7.4 would answer on the loop that published last: the one a cell blocks.
            self.comm._reply_subshell_for = None  # noqa: SLF001
        self.on_msg(self._heard)

    def show(self, view: JobView) -> None:
        """Go on to ``view`` and tell the front ends what changed."""
        with self._lock:
            cuts = self._picture.curves.cuts
            fresh = self._picture.take(view)
            facts = self._picture.facts()
            changed = {name: value for name, value in facts.items() if value != self._told[name]}
            if not changed and not fresh:
                return
            self._told = facts
            self._seq += 1
            if cuts != self._picture.curves.cuts:  # what was told before holds no longer
                self._tell_all()
                return
            series, numbers = _packed(fresh)
            message = {
                "t": "update",
                "seq": self._seq,
                "now": time.time(),
                "state": changed,
                "series": series,
            }
            self.send(message, buffers=[numbers])

    def _whole(self) -> dict[str, Any]:
        with self._lock:
            series, numbers = _packed(self._picture.curves.lines.values())
            return {
                "seq": self._seq,
                "now": time.time(),
                "state": self._told,
                "series": series,
                "data": numbers,
            }

    def _heard(self, _: object, content: dict[str, Any], __: object) -> None:
        if content.get("t") == "resync":
            with self._lock:
                self._tell_all()
        elif content.get("t") == "command" and content.get("name") in COMMANDS:
            self._command(content["name"])

    def _tell_all(self) -> None:
        whole = self._whole()
        numbers = whole.pop("data")
        self.send({"t": "snapshot", **whole}, buffers=[numbers])


def _packed(lines: Iterable[Line]) -> tuple[list[list[Any]], bytes]:
    series, numbers = [], array("d")
    for line in lines:
        series.append([line.metric, line.attempt, len(line.values)])
        for triple in zip(line.times, line.steps, line.values, strict=True):
            numbers.extend(triple)
    return series, numbers.tobytes()
