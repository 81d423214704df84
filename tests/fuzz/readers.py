"""What reads words of others: for each reader some sound input, the call, and how it may refuse."""

from __future__ import annotations

import json
import random
from collections.abc import Callable
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any

import msgspec
from unit.launchers.kubernetes import objects

from mltemporal.dataset.checking import inspect
from mltemporal.errors import InvalidRequest, MLTemporalError
from mltemporal.launchers.folder import ProcessFolder
from mltemporal.launchers.kubernetes.diagnosis import sighting
from mltemporal.launchers.kubernetes.output import _split
from mltemporal.launchers.kubernetes.quantities import amount
from mltemporal.model_files import load_model, save_model, save_model_file
from mltemporal.patterns import check_patterns, match_patterns
from mltemporal.preparation.engine import Engine
from mltemporal.preparation.expressions import check_expression
from mltemporal.preparation.parsing import written
from mltemporal.progress import Line, Piece, format_line, is_file_name, parse_line
from mltemporal.settings import load_settings
from mltemporal.specs.data import ObjectRef
from mltemporal.specs.encoding import decode, encode
from mltemporal.specs.request import JobSpec
from mltemporal.specs.results import RunFailure, RunOutput
from mltemporal.stack.record import read_state
from mltemporal.storage.content import Storage
from mltemporal.storage.output import OWNER, Output
from mltemporal.views import Point
from mltemporal.words import clean
from mltemporal.workflows.activities.follower import Follower
from mltemporal.workflows.activities.recalling import points_of

MODEL_CLASSES = ("LinearRegression",)


@dataclass(frozen=True)
class Reader:
    """One of them; `read` raises `refusals` and nothing else, whatever it is given."""

    name: str
    sound: Callable[[], list[bytes]]
    read: Callable[[bytes, Path], object]
    refusals: tuple[type[BaseException], ...] = (MLTemporalError,)


class _Record:
    """A record in memory, as the follower uses it."""

    def __init__(self) -> None:
        self.progress = self
        self.batches: list[Any] = []

    def said(self, *_: object) -> Any:
        from mltemporal.database.progress import Said

        return Said()

    def append(self, _job: int, _attempt: int, batch: Any, **_: object) -> bool:
        self.batches.append(batch)
        return True


def followed(output: bytes, cuts: list[int], patterns: dict[str, str] | None = None) -> tuple[Any, ...]:
    """Return what is recorded of an output that arrives in these pieces."""
    record = _Record()
    follower = Follower(record, 1, 1, patterns or {})  # type: ignore[arg-type]
    for start, end in zip([0, *cuts], [*cuts, len(output)], strict=True):
        follower.feed(output[start:end])
    follower.feed(b"", last=True)
    points = [(at, point.step, repr(point.metrics)) for b in record.batches for at, point in b.points]
    notes = [note for batch in record.batches for note in batch.notes if note[0] >= 0]
    artifacts = [artifact for batch in record.batches for artifact in batch.artifacts]
    log = "".join(batch.log for batch in record.batches)
    encode([Point(attempt=1, time=0.0, metrics=p.metrics) for b in record.batches for _, p in b.points])
    return points, notes, artifacts, log, follower.stage, follower.position


def _lines() -> list[bytes]:
    return [
        format_line(step=3, total=9, time=1.0, metrics={"loss": 0.5, "größe": None}),
        format_line(event="note", text="chosen"),
        format_line(event="stage", text="training"),
        format_line(event="artifact", name="a/b.txt", object=ObjectRef(sha256="ab" * 32, size_bytes=7)),
        b"epoch 1 loss=0.25 \x1b[31mred\x1b[0m\r 50%|###\r\n",
    ]


def _read_line(data: bytes, _: Path) -> None:
    line = parse_line(data.decode(errors="replace"))
    assert line is None or isinstance(line, Line)
    if line is not None:
        is_file_name(line.name)
        clean(line.text)


def _read_file(name: str, read: Callable[[Path], object]) -> Callable[[bytes, Path], object]:
    def reading(data: bytes, folder: Path) -> object:
        path = folder / name
        path.write_bytes(data)
        return read(path)

    return reading


@lru_cache
def _parquet() -> list[bytes]:
    import io

    import pandas as pd

    frame = pd.DataFrame({"a": [1, 2, 3, 4], "b": [0.5, None, 1.5, 2.5], "c": ["x", "y", "z", "x"]})
    made = []
    for options in ({}, {"compression": None}, {"row_group_size": 2}):
        buffer = io.BytesIO()
        frame.to_parquet(buffer, **options)
        made.append(buffer.getvalue())
    return made


@lru_cache
def _model() -> list[bytes]:
    import tempfile

    from sklearn.linear_model import LinearRegression

    with tempfile.TemporaryDirectory() as folder:
        storage = Storage(folder)
        ref = save_model(
            LinearRegression().fit([[0.0], [1.0]], [0.0, 1.0]),
            storage,
            label="m",
            task=None,
            target=None,
            features=(),
        )
        return [storage.get_bytes(ref.object)]


def _load_model(path: Path) -> None:
    storage = Storage(str(path.parent / "storage"))
    load_model(save_model_file(path, storage), storage)


def _settings(data: bytes, folder: Path) -> None:
    path = folder / "config.toml"
    path.write_bytes(data)
    load_settings({"MLTEMPORAL_CONFIG_FILE": str(path), "MLTEMPORAL_HOME": str(folder)})


def _environment(data: bytes, folder: Path) -> None:
    values = data.decode(errors="replace").replace("\0", "").split("\n")
    names = ("BACKEND", "MAX_LOCAL_JOBS", "DATABASE_URL", "STORAGE_URL", "NOTIFY_URL", "TASK_QUEUE")
    load_settings(
        {
            "MLTEMPORAL_HOME": str(folder),
            **{f"MLTEMPORAL_{n}": v for n, v in zip(names, values, strict=False)},
        }
    )


@lru_cache
def _engine() -> Engine:
    return Engine()


def _expression(data: bytes, _: Path) -> None:
    check_expression(_engine(), data.decode(errors="replace"), "filter").columns(["a", "b"], "filter")


def _steps(data: bytes, _: Path) -> None:
    try:
        value = json.loads(data)
    except (ValueError, RecursionError):
        return
    written(value)


def _patterns(data: bytes, _: Path) -> None:
    text = data.decode(errors="replace")
    check_patterns({"loss": text})
    match_patterns(["loss=0.5", text], {"loss": text})


def _note(kind: type) -> Callable[[bytes, Path], object]:
    def reading(data: bytes, folder: Path) -> object:
        storage = Storage(str(folder))
        storage.put_note("training-1", "1/output", {})
        (folder / "jobs" / "training-1" / "1" / "output.json").write_bytes(data)
        return storage.get_note("training-1", "1/output", kind)

    return reading


def _pieces(data: bytes, folder: Path) -> object:
    piece = _note(Piece)(data, folder)
    assert isinstance(piece, Piece)
    return points_of(piece, 1)


def _owner(data: bytes, folder: Path) -> object:
    (folder / OWNER).write_bytes(data)
    return Output(str(folder)).owner()


def _process(name: str) -> Callable[[bytes, Path], object]:
    def reading(data: bytes, folder: Path) -> object:
        (folder / "order.json").write_text("{}")
        (folder / name).write_bytes(data)
        return ProcessFolder(folder).look()

    return reading


def _pods(data: bytes, _: Path) -> None:
    """The platform answers with sound JSON; what is in it, and what is missing, is anybody's guess."""
    chance = random.Random(data)
    state = chance.choice(
        [
            objects.ended(chance.choice([0, 1, 137, 255]), chance.choice(["OOMKilled", "Error", ""]), "x"),
            objects.waiting(chance.choice(["ImagePullBackOff", "CrashLoopBackOff", "odd"]), "told"),
            {"running": {"startedAt": "2026-11-23T12:00:00Z"}},
        ]
    )
    pod = objects.pod(state=state, phase=chance.choice(["Pending", "Running", "Failed", "Succeeded", "Odd"]))
    text = data.decode(errors="replace")
    for part in ("status", "spec"):
        pod[part] = _shaken(pod[part], chance, text)
    sighting(objects.state(pod), 1_800_000_000.0)


def _shaken(value: Any, chance: random.Random, text: str) -> Any:
    """Leave parts out, and put other words in; types stay what they are."""
    if isinstance(value, dict):
        return {
            key: _shaken(each, chance, text)
            for key, each in value.items()
            if key in ("name", "type", "exitCode", "containers") or chance.random() > 0.15
        }
    if isinstance(value, list):
        return [_shaken(each, chance, text) for each in value if chance.random() > 0.1]
    if isinstance(value, str) and not value.startswith("2026") and chance.random() < 0.2:
        return text
    if type(value) is int and chance.random() < 0.2:
        return chance.choice([0, -1, 1 << 31, 9])
    return value


SPEC = {
    "key": "training-1",
    "name": "n",
    "dataset": {"fingerprint": "f", "rows": 3, "columns": [{"name": "a", "type": "int64"}]},
    "trainer": {"kind": "script", "label": "s.py"},
}
PROFILE = b"""
[profile.default]
backend = "local"
max_local_jobs = 2
[profile.default.env]
AWS_REGION = "x"
"""
STACK = {
    "home": "/h",
    "supervisor": {"pid": 1, "started": "m"},
    "version": "1",
    "python": "p",
    "host": "h",
    "started_at": 1.0,
    "temporal_address": "a",
}
EXPRESSIONS = [
    b"a > 1 AND b IS NOT NULL",
    b"CASE WHEN a IN (1, 2) THEN lower(b) ELSE 'x' END",
    b"{'k': a}.k + [1, 2][1]",
]

READERS = (
    Reader("progress lines", _lines, _read_line, ()),
    Reader(
        "a job's output",
        lambda: [b"".join(_lines())],
        lambda data, _: followed(data, [len(data) // 2], {"loss": r"loss=(\S+)"}),
        (),
    ),
    Reader("text for a screen", _lines, lambda data, _: clean(data.decode("utf-8", "surrogateescape")), ()),
    Reader("patterns", lambda: [rb"loss=(\S+)", rb"[^](](?:a|b)+(\d+)"], _patterns),
    Reader(
        "a job's request",
        lambda: [json.dumps(SPEC).encode()],
        lambda data, _: decode(data, JobSpec),
        (msgspec.DecodeError,),
    ),
    Reader("notes: output", lambda: [encode(RunOutput(metrics={"r2": 0.5})).encode()], _note(RunOutput)),
    Reader(
        "notes: failure",
        lambda: [encode(RunFailure(type="E", message="m", traceback="t")).encode()],
        _note(RunFailure),
    ),
    Reader(
        "notes: reported",
        lambda: [
            encode(
                Piece(first=1, lines=(format_line(time=1.5, step=1, metrics={"r2": 0.5}).decode(),))
            ).encode()
        ],
        _pieces,
    ),
    Reader("an output's owner", lambda: [b'{"job": "training-1"}'], _owner),
    Reader(
        "profiles (TOML)",
        lambda: [PROFILE],
        _settings,
    ),
    Reader(
        "environment", lambda: [b"local\n2\nsqlite:////tmp/x.db\n/tmp/x\nhttps://x/y\nqueue"], _environment
    ),
    Reader(
        "CSV",
        lambda: [b'a,b,c\n1,0.5,x\n2,,y\n3,1.5,"z\n"\n'],
        _read_file("t.csv", lambda path: inspect(str(path)).sample()),
    ),
    Reader("parquet", _parquet, _read_file("t.parquet", lambda path: inspect(str(path)).sample())),
    Reader("expressions", lambda: EXPRESSIONS, _expression),
    Reader("steps", lambda: [b'["drop_missing", {"filter": "a > 1"}, {"scale": ["a"]}]'], _steps),
    Reader(
        "quantities",
        lambda: [b"4Gi", b"500m", b"1e3", b".5"],
        lambda data, _: amount("memory", data.decode(errors="replace")),
    ),
    Reader(
        "log stamps",
        lambda: [b"2026-11-23T12:00:00.123456789Z hello", b"2026-11-23T12:00:00+01:00 x"],
        lambda data, _: _split(data, 0),
        (),
    ),
    Reader("pods", lambda: [b"told"], _pods, ()),
    Reader(
        "state of the stack",
        lambda: [json.dumps(STACK).encode()],
        _read_file("state.json", read_state),
    ),
    Reader("process.json", lambda: [b'{"keeper": [1, "m"], "training": [1, "m"]}'], _process("process.json")),
    Reader("exit.json", lambda: [b'{"code": 0}', b'{"code": -9}'], _process("exit.json")),
    Reader("models (skops)", _model, _read_file("m.skops", _load_model)),
)
"""Refusals by default are errors of ours, in words."""

assert InvalidRequest in MLTemporalError.__subclasses__()
