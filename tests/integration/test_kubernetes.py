"""Trainings as Kubernetes Jobs, from the handle to the model in S3, on the stand-in and on a real cluster."""

import os
import signal
import time
from contextlib import contextmanager

import numpy as np
import pandas as pd
import pytest
import sqlalchemy as sa
from services.kubernetes import STORAGE_SECRET, Place, real_cluster, standin, standin_place  # noqa: F401
from services.s3 import s3  # noqa: F401

import mltemporal
from mltemporal import background, session, stack
from mltemporal.database.tables import attempts
from mltemporal.errors import InvalidRequest, JobCancelled, JobFailed
from mltemporal.runtime.checkpoint import kept_steps
from mltemporal.settings import Settings, load_settings
from mltemporal.specs.running import JobStatus

TABLE = pd.DataFrame({"x": np.arange(400.0), "y": (np.arange(400) >= 200).astype(int)})


def count(data, steps=5, pause_s=0.0):
    """Report so many steps, from the last checkpoint on."""
    import time

    import mltemporal

    state = mltemporal.checkpoint.load() or {"step": 0}
    print("begins after step", state["step"], flush=True)
    try:
        for step in range(state["step"] + 1, steps + 1):
            mltemporal.report(step=step, total=steps, loss=1 / step)
            mltemporal.checkpoint.save({"step": step}, step=step)
            time.sleep(pause_s)
    finally:
        print("tidied", flush=True)
    return {"rows": len(data), "began_after": state["step"]}


def until(reached, within_s=90):
    deadline = time.monotonic() + within_s
    while not (found := reached()):
        assert time.monotonic() < deadline, "waited in vain"
        time.sleep(0.1)
    return found


@pytest.fixture(scope="module", params=["standin", pytest.param("real", marks=pytest.mark.cluster)])
def place(request) -> Place:
    return request.getfixturevalue("standin_place" if request.param == "standin" else "real_cluster")


@pytest.fixture(scope="module")
def settings(request, place: Place, tmp_path_factory) -> Settings:
    """The settings of a stack whose jobs run in the cluster unless they say otherwise."""
    patch = pytest.MonkeyPatch()
    if not place.real:
        for name, value in request.getfixturevalue("s3").environ().items():
            patch.setenv(name, value)
    patch.setenv("KUBECONFIG", place.kubeconfig)
    found = load_settings(
        {
            "MLTEMPORAL_HOME": str(tmp_path_factory.mktemp("cluster") / "home"),
            "MLTEMPORAL_TEMPORAL": "embedded",
            "MLTEMPORAL_STORAGE_URL": place.storage_url,
            "MLTEMPORAL_BACKEND": "kubernetes",
            "MLTEMPORAL_IMAGE": place.image,
            "MLTEMPORAL_KUBERNETES_NAMESPACE": place.namespace,
            "MLTEMPORAL_KUBERNETES_STORAGE_SECRET": STORAGE_SECRET,
        }
    )
    stack.up(found)
    yield found
    stack.down(found)
    patch.undo()


@pytest.fixture
def world(settings: Settings, place: Place):
    """The session of that stack; in the end `kubectl get all` shows nothing."""
    session.replace(settings)
    yield session.current()
    place.until_clean(30)
    session.replace(None)


def steps(job):
    return [(point.attempt, point.step) for _, point in session.current().database.progress.points(job.id)]


def pod_of(place, job):
    """The newest pod of the job."""
    row = session.current().database.jobs.get(job.id)
    return until(lambda: place.pods(f"{row.key}-{row.attempt}"))[-1].metadata.name


def test_a_table_becomes_a_model_in_s3(world):
    job = mltemporal.train(TABLE, target="y", params={"max_iter": 20})
    result = job.result(120)
    assert result.metrics["accuracy"] > 0.9
    assert [1] == list(job.model.predict(TABLE[["x"]].tail(1)))
    assert world.storage.url.startswith("s3://")
    assert len(job.metrics()) >= 20


def test_a_function_reports_and_returns(world):
    job = mltemporal.train(TABLE, count, params={"steps": 7})
    assert {"rows": 400, "began_after": 0} == job.result(120).value
    assert [(1, step) for step in range(1, 8)] == steps(job)
    assert "begins after step 0" in job.logs()


def test_a_cancelled_training_gets_sigterm_and_time(world):
    job = mltemporal.train(TABLE, count, params={"steps": 9000, "pause_s": 0.1}, name="to be cancelled")
    until(lambda: steps(job))
    job.cancel()
    with pytest.raises(JobCancelled):
        job.result(60)
    assert "tidied" in job.logs()


def test_an_evicted_training_goes_on_from_its_checkpoint(world, place):
    from kubernetes.client import V1Eviction, V1ObjectMeta

    job = mltemporal.train(TABLE, count, params={"steps": 100, "pause_s": 0.1}, name="to be evicted")
    until(lambda: len(steps(job)) > 10)
    pod = pod_of(place, job)
    place.core.create_namespaced_pod_eviction(
        pod, place.namespace, V1Eviction(metadata=V1ObjectMeta(name=pod))
    )
    result = job.result(120)
    assert 2 == result.attempts
    assert result.value["began_after"] >= 10
    assert list(range(1, 101)) == list(job.metrics().step)
    history = job.history()
    assert "evicted" in history[history.kind == "retry"].message.iloc[0]


def test_a_worker_that_is_killed_starts_no_second_pod_and_loses_no_point(world, settings, place):
    job = mltemporal.train(TABLE, count, params={"steps": 150, "pause_s": 0.1}, name="worker killed")
    until(lambda: len(steps(job)) > 10)
    pod = pod_of(place, job)
    os.kill(stack.state(settings).services["worker"].process.pid, signal.SIGKILL)
    result = job.result(120)
    assert 1 == result.attempts
    assert [(1, step) for step in range(1, 151)] == steps(job)
    row = world.database.jobs.get(job.id)
    assert {pod} >= {each.metadata.name for each in place.pods(f"{row.key}-1")}


def saved(world, job):
    """The step of the newest checkpoint."""
    return max(kept_steps(world.storage, world.database.jobs.get(job.id).key, []), default=0)


@pytest.fixture
def silenced(settings):
    """Return a context in which the worker stands still."""

    @contextmanager
    def silence():
        worker = stack.state(settings).services["worker"].process.pid
        os.kill(worker, signal.SIGSTOP)
        try:
            yield
        finally:
            os.kill(worker, signal.SIGCONT)

    return silence


def test_what_a_pod_reported_and_nobody_read_before_it_was_deleted_is_in_the_curve(world, place, silenced):
    job = mltemporal.train(TABLE, count, params={"steps": 80, "pause_s": 0.1}, name="to be deleted unread")
    until(lambda: len(steps(job)) > 5)
    with silenced():
        pod, read = pod_of(place, job), len(steps(job))
        until(lambda: saved(world, job) > read + 15)
        place.core.delete_namespaced_pod(pod, place.namespace, grace_period_seconds=0)
        until(lambda: not place.pods(f"{world.database.jobs.get(job.id).key}-1"))
    result = job.result(120)
    assert (2, list(range(1, 81))) == (result.attempts, list(job.metrics().step))
    first = [step for attempt, step in steps(job) if attempt == 1]
    assert list(range(1, result.value["began_after"] + 1)) == first
    assert result.value["began_after"] > read + 15


def test_what_a_paused_pod_reported_and_nobody_read_is_in_the_curve(world, place, silenced):
    job = mltemporal.train(TABLE, count, params={"steps": 80, "pause_s": 0.1}, name="paused unread")
    until(lambda: len(steps(job)) > 5)
    name = f"{world.database.jobs.get(job.id).key}-1"
    job.pause()
    until(lambda: job.status is JobStatus.PAUSED)
    until(lambda: not place.pods(name))
    job.resume()
    until(lambda: saved(world, job) > 20)
    with silenced():
        read = len(steps(job))
        until(lambda: saved(world, job) > read + 15)
        place.batch.patch_namespaced_job(name, place.namespace, {"spec": {"suspend": True}})
        until(lambda: not place.pods(name))
    until(lambda: job.status is JobStatus.PAUSED)
    job.resume()
    result = job.result(120)
    assert 1 == result.attempts
    assert [(1, step) for step in range(1, 81)] == steps(job)


def test_a_paused_training_goes_on_from_its_checkpoint(world, place):
    job = mltemporal.train(TABLE, count, params={"steps": 60, "pause_s": 0.1}, name="to be paused")
    until(lambda: len(steps(job)) > 10)
    job.pause()
    until(lambda: job.status is JobStatus.PAUSED)
    row = world.database.jobs.get(job.id)
    until(lambda: not [p for p in place.pods(f"{row.key}-1") if p.status.phase == "Running"])
    job.resume()
    result = job.result(120)
    assert 1 == result.attempts
    assert result.value["began_after"] >= 10
    assert list(range(1, 61)) == sorted({step for _, step in steps(job)})


def heeding(data, lr=0.1):
    """Count until it is asked to end early, with the rate that was set; saves when it is asked to."""
    import time

    import mltemporal
    from mltemporal import checkpoint

    state = checkpoint.load() or {"steps": []}
    print("begins after", len(state["steps"]), flush=True)
    checkpoint.on_stop(lambda: state)
    for step in mltemporal.track(range(3000)):
        state["steps"].append(step)
        mltemporal.report(lr=float(mltemporal.params["lr"]))
        time.sleep(0.1)
    return {"whole": state["steps"] == list(range(len(state["steps"]))), "steps": len(state["steps"])}


def test_orders_reach_a_pod_by_s3_and_what_a_paused_one_had_done_is_kept(world, place):
    def rates():
        points = world.database.progress.points(job.id)
        return [point.metrics["lr"] for _, point in points if "lr" in point.metrics]

    job = mltemporal.train(TABLE, heeding, name="heeding")
    until(lambda: len(rates()) > 3)
    assert "the training has lr=0.5 since step" in job.set(lr=0.5)
    until(lambda: rates()[-1] == 0.5)
    assert job.checkpoint_now().startswith("a checkpoint was saved at step")
    answer = job.pause()
    assert "paused; a checkpoint was saved at step" in answer
    saved = int(answer.rpartition(" ")[2])
    until(lambda: job.status is JobStatus.PAUSED)
    row = world.database.jobs.get(job.id)
    until(lambda: not [p for p in place.pods(f"{row.key}-1") if p.status.phase == "Running"])
    before = len(rates())
    job.resume()
    until(lambda: len(rates()) > before)
    assert 0.5 == rates()[-1], "another pod is called with what was set"
    assert "it ends at the next item of track" in job.stop_early()
    value = job.result(120).value
    begun = [int(line.rpartition(" ")[2]) for line in job.logs().splitlines() if "begins after" in line]
    assert begun[0] == 0
    assert begun[-1] >= saved > 3
    assert value["whole"], "each step was done once"
    assert begun[-1] < value["steps"] < 3000
    told = [event.message for event in world.database.jobs.events(row.id) if event.kind == "command"]
    assert ["set lr=0.5", "checkpoint_now", "pause", "resume", "stop_early"] == told


def test_the_pod_of_a_job_whose_workflow_was_terminated_is_stopped(world, place):
    job = mltemporal.train(TABLE, count, params={"steps": 9000, "pause_s": 0.1}, name="to be terminated")
    until(lambda: steps(job))
    row = world.database.jobs.get(job.id)

    async def terminate():
        client = await world.client()
        await client.get_workflow_handle(row.workflow_id).terminate("by an administrator")

    background.run(terminate())
    with pytest.raises(JobFailed, match="was terminated in Temporal"):
        job.result(60)
    place.until_clean(60)
    until(lambda: "tidied" in job.logs())


def test_ranks_train_together_and_each_has_a_log(world):
    def ranked(data):
        import os

        import mltemporal

        rank = int(os.environ["RANK"])
        print("this is rank", rank, "of", os.environ["WORLD_SIZE"], flush=True)
        mltemporal.report(step=1, rank=rank)
        return {"rank": rank}

    job = mltemporal.train(TABLE, ranked, nodes=2)
    assert {"rank": 0} == job.result(120).value
    assert [0.0] == list(job.metrics()["rank"])
    assert "this is rank 0 of 2" in job.logs()
    assert "this is rank 1 of 2" in job.logs(rank=1)


def test_ranks_score_a_dataset_and_an_evicted_one_costs_its_own_shard_only(world, place):
    from kubernetes.client import V1Eviction, V1ObjectMeta

    from mltemporal.storage.output import Output

    class Doubling:
        """Takes its time, so that something can happen meanwhile."""

        feature_names_in_ = ("x",)

        def predict(self, rows):
            time.sleep(0.5)
            return rows["x"] * 2

    data = Output(f"{world.storage.url}/to-score")
    for number in range(8):
        with data.writing(f"{number}.parquet") as path:
            TABLE[50 * number : 50 * (number + 1)].to_parquet(path)
    job = mltemporal.predict(Doubling(), data.url, keep=["x"], workers=2, drift=False)
    row = until(lambda: (found := world.database.jobs.get(job.id)).attempt and found)
    until(lambda: len(world.storage.note_names(row.key, "shards")) > 1)
    pod = place.pods(f"{row.key}-1")[-1].metadata.name
    place.core.create_namespaced_pod_eviction(
        pod, place.namespace, V1Eviction(metadata=V1ObjectMeta(name=pod))
    )
    result = job.result(120)
    assert (2, 400) == (result.attempts, result.rows)
    frame = result.frame()
    assert list(TABLE["x"]) == list(frame["x"])
    assert list(TABLE["x"] * 2) == list(frame["prediction"])
    assert "resumed: " in str(job.history().message.to_list())


def test_ranks_prepare_a_dataset_that_goes_to_the_storage(world):
    from mltemporal import steps
    from mltemporal.storage.output import Output

    data = Output(f"{world.storage.url}/to-prepare")
    for number in range(4):
        with data.writing(f"{number}.parquet") as path:
            TABLE[100 * number : 100 * (number + 1)].to_parquet(path)
    plan = [steps.split(test_size=0.25, by=["x"]), steps.derive(twice="x * 2")]
    made = mltemporal.preprocess(data.url, steps=plan, workers=2).result(120)
    assert 400 == made.train.rows + made.test.rows
    found = sorted([*made.train.frame()["twice"], *made.test.frame()["twice"]])
    assert sorted(TABLE["x"] * 2) == found
    assert made.train.uri.startswith("s3://")


def test_running_out_of_memory_says_so(world):
    def greedy(data):
        rows = []
        while True:
            rows.append(bytearray(8 << 20))

    job = mltemporal.train(TABLE, greedy, resources={"memory": "400Mi"})
    with pytest.raises(JobFailed, match=r"ran out of memory \(OOMKilled\) at its limit of 400Mi"):
        job.result(120)


def test_a_bad_image_fails_fast_and_says_so(world):
    job = mltemporal.train(TABLE, count, image="no-such/image:1")
    with pytest.raises(JobFailed, match="the image 'no-such/image:1' cannot be pulled"):
        job.result(60)


def test_what_no_node_has_is_on_the_panel_while_it_waits(world):
    job = mltemporal.train(TABLE, count, resources={"cpu": 512})
    until(lambda: "no node has enough cpu free" in job.view().stage, 30)
    assert JobStatus.QUEUED is job.status
    job.cancel()
    assert job.wait(60)


def test_a_users_exception_comes_first(world):
    def broken(data):
        raise ZeroDivisionError("in the cluster")

    job = mltemporal.train(TABLE, broken)
    with pytest.raises(JobFailed, match="ZeroDivisionError: in the cluster"):
        job.result(120)


def test_a_dry_run_asks_the_cluster_and_starts_nothing(world, place):
    template = {"spec": {"volumes": [{"name": "Not_A_Name", "emptyDir": {}}]}}
    told = repr(mltemporal.train(TABLE, count, dry_run=True))
    assert f"backend: kubernetes, namespace {place.namespace!r}" in told
    with pytest.raises(InvalidRequest, match="the cluster refuses"):
        mltemporal.train(TABLE, count, pod_template=template, dry_run=True)


def test_a_local_job_runs_beside_them(world):
    job = mltemporal.train(TABLE, count, params={"steps": 3}, backend="local")
    assert 400 == job.result(60).value["rows"]


def test_nothing_secret_is_recorded(world, settings):
    job = mltemporal.train(TABLE, count, params={"steps": 1}, name="secrets")
    job.result(120)
    with world.database.reading() as connection:
        rows = connection.execute(sa.select(attempts)).all()
    secret = os.environ["AWS_SECRET_ACCESS_KEY"]
    spec = repr(world.database.jobs.get(job.id).spec)
    assert secret not in repr(rows) + spec + job.logs() + repr(mltemporal.status())
