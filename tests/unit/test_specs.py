"""What crosses a process border survives it, also between versions."""

import dataclasses
import inspect
import json
import subprocess
import sys
from importlib import import_module
from pkgutil import iter_modules

import msgspec
import pytest

from mltemporal import specs
from mltemporal.specs.data import (
    Artifact,
    Column,
    DatasetFacts,
    DatasetRef,
    Expectation,
    ModelRef,
    ObjectRef,
    Shard,
)
from mltemporal.specs.encoding import decode, encode
from mltemporal.specs.health import HealthCheck, HealthState, Mended, Notice, Round
from mltemporal.specs.orders import Answer, Extended, Hears, Order, Orders, Rewind
from mltemporal.specs.request import (
    InferenceSpec,
    JobSpec,
    PodOptions,
    PreparationSpec,
    Resources,
    SecretRef,
    TrainerRef,
)
from mltemporal.specs.results import (
    InferenceResult,
    MadeDataset,
    Outcome,
    Prepared,
    PreprocessingResult,
    RunFailure,
    RunOutput,
    Scored,
    TrainingResult,
)
from mltemporal.specs.running import Attempt, Carried, Command, JobPlan, JobStatus, Progress, WorkflowState

OBJECT = ObjectRef(sha256="ab" * 32, size_bytes=7, format="parquet")
DATASET = DatasetRef(
    fingerprint="cd" * 32,
    rows=3,
    columns=(Column(name="größe", type="double"), Column(name="y", type="int64")),
    object=OBJECT,
    target="y",
)
TRAINER = TrainerRef(
    kind="script",
    label="train.py",
    code=OBJECT,
    params={"k": "3"},
    args=("--k=3",),
    path="/home/me/train.py",
    metric_patterns={"loss": r"loss=(\S+)"},
    versions={"python": "3.11"},
)
MODEL = ModelRef(object=OBJECT, label="Ridge", task="regression", target="y", features=("größe",))
RESULT = TrainingResult(job_id=7, metrics={"r2": 0.5}, model_ref=MODEL, attempts=2, duration_s=1.5)
EXAMPLES = (
    OBJECT,
    DATASET,
    TRAINER,
    MODEL,
    RESULT,
    JobSpec(
        key="training-1",
        name="a job",
        dataset=DATASET,
        trainer=TRAINER,
        target="y",
        resources=Resources(cpu=1.5),
        env={"A": "b"},
    ),
    Attempt(job_id=7, number=2),
    JobPlan(job_id=7, retries=2, timeout_s=60.0, attempts_before=1),
    WorkflowState(stage="running", attempt=1),
    Command(job_id=7, verb="pause", by="me@here"),
    Carried(plan=JobPlan(job_id=7, retries=2, timeout_s=60.0), attempt=2, deadline=1.5, commands=("a", "b")),
    Order(id="a", verb="set", by="me@here", attempt=1),
    Orders(params={"lr": 0.1, "layers": [3, 4]}, given=(Order(id="a", verb="set"),)),
    Hears(verbs=("set",), params=("lr",), saves=True),
    Answer(words="a checkpoint was saved at step 3", step=3),
    Rewind(after=2, to="step", step=40),
    Progress(time=1.5, step=3, total=10, metrics={"loss": 0.25}),
    Artifact(name="roc.png", object=OBJECT),
    RunOutput(metrics={"r2": 0.5}, model=MODEL, value=OBJECT, notes=("chosen",)),
    RunFailure(type="ValueError", message="odd", traceback="Traceback …", next_step="mend it"),
    Outcome(job_id=7, status=JobStatus.SUCCEEDED, attempts=2, result=RESULT),
    Resources(cpu=2, memory="4Gi", others={"nvidia.com/gpu": "1"}),
    SecretRef(name="wandb", mount_path="/var/run/wandb"),
    PodOptions(
        image="registry.example/ml:1",
        nodes=2,
        secrets=(SecretRef(name="wandb"),),
        tolerations=({"key": "gpu", "operator": "Exists"},),
        volumes={"/data": {"persistentVolumeClaim": {"claimName": "data"}}},
        template={"spec": {"hostNetwork": False}},
    ),
    Column(name="a", type="int64"),
    Shard(index=3, file=1, row_groups=(4, 5), first_row=2_000_000, rows=500_000),
    Expectation(column="age", type="integer", minimum=0, maximum=120, null_share=0.1),
    Expectation(column="city", allowed=("Bath", "Rye"), unique=False),
    DatasetFacts(made_by=7, part="train", sources=("f" * 64,), steps=("drop_missing()",), pipeline=OBJECT),
    PreparationSpec(plan=OBJECT, steps=("drop_missing()",), expectations=(Expectation(column="age"),)),
    InferenceSpec(model=ModelRef(object=OBJECT, label="LogisticRegression"), keep=("id",), shards=4),
    Prepared(
        datasets=(MadeDataset(part="dataset", ref=DATASET, profile=OBJECT),), pipeline=OBJECT, profile=OBJECT
    ),
    MadeDataset(part="test", ref=DATASET),
    Scored(uri="s3://team-ml/scores", rows=10, parts=2, drift=OBJECT, drifted=("age",)),
    PreprocessingResult(job_id=1, metrics={"rows_in": 10.0}, dataset_ids={"train": 3, "test": 4}),
    InferenceResult(job_id=1, rows=10, uri="s3://team-ml/scores", drifted=("age",)),
    HealthCheck(
        part="disk", state=HealthState.WARNING, latency_ms=1.5, detail="9 % free", next_step="clear it"
    ),
    Notice(job_id=7),
    Round(checks=8, problems=("disk",), notice=Notice(text="disk is red")),
    Extended(timeout_s=90.0, attempt=2),
    Mended(deeds=1, notices=(Notice(job_id=7),)),
)


@pytest.mark.parametrize("value", EXAMPLES, ids=lambda value: type(value).__name__)
def test_it_comes_back_as_it_went(value: object) -> None:
    assert value == decode(encode(value), type(value))


def test_every_spec_has_an_example_here() -> None:
    modules = (import_module(f"mltemporal.specs.{found.name}") for found in iter_modules(specs.__path__))
    kinds = {kind for module in modules for _, kind in inspect.getmembers(module, dataclasses.is_dataclass)}
    assert kinds == {type(value) for value in EXAMPLES}


@pytest.mark.parametrize("value", EXAMPLES, ids=lambda value: type(value).__name__)
def test_a_field_of_a_newer_version_is_ignored(value: object) -> None:
    newer = {**json.loads(encode(value)), "of_next_year": {"a": [1]}}
    assert value == decode(json.dumps(newer), type(value))


@pytest.mark.parametrize("value", EXAMPLES, ids=lambda value: type(value).__name__)
def test_a_field_that_an_older_version_did_not_have_takes_its_default(value: object) -> None:
    fields = dataclasses.fields(value)  # type: ignore[arg-type]
    without = [f.name for f in fields if f.default is f.default_factory is dataclasses.MISSING]
    older = {name: part for name, part in json.loads(encode(value)).items() if name in without}
    decode(json.dumps(older), type(value))


@pytest.mark.parametrize("value", EXAMPLES, ids=lambda value: type(value).__name__)
def test_it_cannot_be_changed(value: object) -> None:
    name = dataclasses.fields(value)[0].name  # type: ignore[arg-type]
    with pytest.raises(dataclasses.FrozenInstanceError):
        setattr(value, name, None)


def test_what_does_not_fit_is_refused() -> None:
    with pytest.raises(msgspec.ValidationError, match=r"Expected `int`, got `str` - at `\$.number`"):
        decode('{"job_id": 1, "number": "two"}', Attempt)


def test_a_status_that_is_final_is_one_of_three() -> None:
    final = [status for status in JobStatus if status.final]
    assert [JobStatus.SUCCEEDED, JobStatus.FAILED, JobStatus.CANCELLED] == final


def test_the_words_of_a_status_are_those_that_users_were_told() -> None:
    words = "queued validating starting running paused succeeded failed cancelled"
    assert words.split() == [str(status) for status in JobStatus]


def test_threads_that_decode_a_kind_for_the_first_time_at_once_all_get_it() -> None:
    program = (
        "import sys, threading\n"
        "from mltemporal.specs.data import DatasetRef\n"
        "from mltemporal.specs.encoding import decode, encode\n"
        "from mltemporal.specs.request import JobSpec, TrainerRef\n"
        "dataset = DatasetRef(fingerprint='', rows=1, columns=())\n"
        "trainer = TrainerRef(kind='baseline', label='b')\n"
        "text = encode(JobSpec(key='training-1', name='x', dataset=dataset, trainer=trainer))\n"
        "sys.setswitchinterval(1e-6)\n"
        "gate, got = threading.Barrier(8), []\n"
        "def go():\n"
        "    gate.wait()\n"
        "    got.append(decode(text, JobSpec).key)\n"
        "threads = [threading.Thread(target=go) for _ in range(8)]\n"
        "[thread.start() for thread in threads]\n"
        "[thread.join() for thread in threads]\n"
        "sys.exit(got != ['training-1'] * 8)\n"
    )
    ends = [subprocess.run([sys.executable, "-c", program], check=False).returncode for _ in range(8)]
    assert [0] * 8 == ends
