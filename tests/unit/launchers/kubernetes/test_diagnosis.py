"""What the cluster says of Job, pods and events becomes one sentence, and a decision whether to try again.

The objects are as a 1.36 API server and its kubelets write them, shortened to what is looked at.
"""

from datetime import datetime

import pytest
from unit.launchers.kubernetes.objects import ended, pod, state, waiting

from mltemporal.launchers.base import Phase
from mltemporal.launchers.kubernetes.diagnosis import sighting
from mltemporal.launchers.kubernetes.manifest import STOPPED

NOON = datetime.fromisoformat("2026-11-23T12:00:00Z").timestamp()
STARTED = {"running": {"startedAt": "2026-11-23T12:00:10Z"}}
COMPLETE = {"type": "Complete", "status": "True"}
FAILED = {"type": "Failed", "status": "True", "reason": "BackoffLimitExceeded"}


def seen(found, after_s: float = 1.0):
    return sighting(found, NOON + after_s)


def unscheduled(message: str, reason: str = "Unschedulable"):
    condition = {"type": "PodScheduled", "status": "False", "reason": reason, "message": message}
    return pod(conditions=(condition,))


def disrupted(reason: str, **more):
    condition = {"type": "DisruptionTarget", "status": "True", "reason": reason, "message": "m"}
    return pod(phase="Failed", conditions=(condition,), **more)


# On the way


@pytest.mark.parametrize(
    ("found", "says"),
    [
        (state(), "waiting for its pod to be made"),
        (
            state(warning=("FailedCreate", 'pods "x" is forbidden: exceeded quota: q, requested: pods=1')),
            "the namespace's quota is used up, it waits for room: ",
        ),
        (state(warning=("FailedCreate", "dial tcp: i/o timeout")), "its pod cannot be made yet: dial tcp"),
        (
            state(unscheduled("0/2 nodes are available: 1 Insufficient nvidia.com/gpu, 2 Insufficient cpu.")),
            "no node has enough cpu and nvidia.com/gpu free, it waits for one: 0/2 nodes",
        ),
        (
            state(unscheduled("0/2 nodes are available: 2 node(s) didn't match Pod's node affinity.")),
            "no node can take it, it waits for one: 0/2",
        ),
        (state(unscheduled("", "SchedulingGated")), "its pod is held back by a scheduling gate"),
        (state(pod(state=waiting("ContainerCreating"))), "its pod is being made ready: image, volumes"),
        (state(pod()), "its pod is being made ready"),
        (
            state(pod(state=waiting("ErrImagePull", "rpc error: code = Unavailable desc = i/o timeout"))),
            "is not pulled yet: rpc error: code = Unavailable desc = i/o timeout",
        ),
        (
            state(pod(state=waiting("CreateContainerConfigError", 'secret "wandb" not found'))),
            'its container cannot be made: secret "wandb" not found',
        ),
        (
            state(
                pod(state=waiting("ContainerCreating")),
                warning=("FailedMount", 'MountVolume.SetUp failed: secret "tls" not found'),
            ),
            "a volume cannot be mounted: MountVolume.SetUp failed",
        ),
    ],
)
def test_what_may_come_right_waits(found, says: str) -> None:
    told = seen(found)
    assert Phase.QUEUED is told.phase
    assert says in told.reason


@pytest.mark.parametrize(
    ("found", "after_s", "says"),
    [
        (
            state(
                pod(state=waiting("ErrImagePull", "rpc error: code = NotFound desc = x:1: not found")),
            ),
            1,
            "cannot be pulled: rpc error: code = NotFound",
        ),
        (
            # The back-off says nothing; the event before it does.
            state(
                pod(state=waiting("ImagePullBackOff", 'Back-off pulling image "x:1"')),
                warning=("Failed", 'Failed to pull image "x:1": 403 Forbidden'),
            ),
            1,
            'cannot be pulled: Failed to pull image "x:1": 403 Forbidden',
        ),
        (state(pod(state=waiting("ErrImagePull", "rpc error: i/o timeout"))), 121, "cannot be pulled"),
        (state(pod(state=waiting("InvalidImageName", "invalid reference format"))), 1, "cannot be used"),
        (state(pod(state=waiting("CreateContainerConfigError", "secret not found"))), 21, "cannot be made"),
        (
            state(warning=("FailedCreate", 'violates PodSecurity "restricted:latest": hostNetwork=true')),
            1,
            "the cluster does not allow its pod",
        ),
        (
            state(warning=("FailedCreate", 'error looking up service account a/b: "b" not found')),
            21,
            "its pod cannot be made: error looking up service account",
        ),
    ],
)
def test_what_nobody_will_put_right_fails_fast(found, after_s: float, says: str) -> None:
    told = seen(found, after_s)
    assert Phase.FAILED is told.phase
    assert says in told.reason
    assert "\nNext step: " in told.reason


def test_a_container_that_runs_is_running() -> None:
    assert (Phase.RUNNING, "") == (
        seen(state(pod(state=STARTED, phase="Running"))).phase,
        seen(state(pod(state=STARTED, phase="Running"))).reason,
    )


def test_a_node_that_does_not_answer_is_said_and_waited_for() -> None:
    told = seen(state(pod(state=STARTED, phase="Running"), warning=("NodeNotReady", "Node is not ready")))
    assert Phase.RUNNING is told.phase
    assert "its node 'node1' does not answer" in told.reason


def test_one_rank_that_waits_holds_up_all() -> None:
    told = seen(state(pod(state=STARTED, phase="Running", name="a"), pod(name="b"), completions=2))
    assert Phase.QUEUED is told.phase


# The end


def test_exit_code_0_is_success_before_the_job_says_so() -> None:
    done = pod(state=ended(0), phase="Running")
    assert (Phase.SUCCEEDED, 0) == (seen(state(done)).phase, seen(state(done)).exit_code)
    assert Phase.SUCCEEDED is seen(state(job=COMPLETE)).phase


@pytest.mark.parametrize(
    ("found", "phase", "code", "says"),
    [
        (pod(state=ended(3, "Error"), phase="Failed"), Phase.FAILED, 3, "it ended with exit code 3"),
        (
            pod(state=ended(137, "OOMKilled"), phase="Failed"),
            Phase.FAILED,
            137,
            "it ran out of memory (OOMKilled) at its limit of 1Gi",
        ),
        (
            pod(state=ended(128, "StartError", 'exec: "pyton": not found'), phase="Failed"),
            Phase.FAILED,
            128,
            'its program cannot be started: exec: "pyton": not found',
        ),
        (
            pod(state=ended(137, "Error"), phase="Failed"),
            Phase.INTERRUPTED,
            -9,
            "it was killed by SIGKILL",
        ),
        (pod(state=ended(139, "Error"), phase="Failed"), Phase.INTERRUPTED, -11, "killed by SIGSEGV"),
        (
            pod(state=ended(255, "Error"), phase="Failed"),
            Phase.FAILED,
            255,
            "it ended with exit code 255",
        ),
        (
            pod(phase="Failed", reason="Evicted", message="The node was low on resource: memory."),
            Phase.INTERRUPTED,
            None,
            "evicted: The node was low on resource: memory.",
        ),
        (
            pod(
                phase="Failed",
                reason="Evicted",
                message="Pod ephemeral local storage usage exceeds the total limit of containers 1Gi.",
            ),
            Phase.FAILED,
            None,
            "it wrote more than it may",
        ),
        (disrupted("PreemptionByScheduler"), Phase.INTERRUPTED, None, "preempted by a pod of higher"),
        (disrupted("DeletionByTaintManager"), Phase.INTERRUPTED, None, "its node was lost or drained"),
        (disrupted("DeletionByPodGC"), Phase.INTERRUPTED, None, "its node is gone"),
        (
            disrupted("EvictionByEvictionAPI", state=ended(143, "Error")),
            Phase.INTERRUPTED,
            143,
            "evicted: its node is being drained",
        ),
        (
            pod(state=ended(137, "ContainerStatusUnknown"), phase="Failed"),
            Phase.INTERRUPTED,
            137,
            "its node lost sight of it",
        ),
        (
            pod(state=ended(143, "Error"), phase="Failed", deleted="2026-11-23T12:00:30Z"),
            Phase.INTERRUPTED,
            143,
            "its pod was deleted",
        ),
    ],
)
def test_how_a_pod_ended_is_told_and_whether_it_helps_to_try_again(found, phase, code, says) -> None:
    for told in (seen(state(found)), seen(state(found, job=FAILED)), seen(state(gone=[found], job=FAILED))):
        assert (phase, code) == (told.phase, told.exit_code)
        assert says in told.reason


def test_the_rank_that_ended_first_tells_why() -> None:
    first = pod(state=ended(3, "Error", at="2026-11-23T12:00:20Z"), phase="Failed", name="b")
    later = pod(
        state=ended(143, "Error", at="2026-11-23T12:00:20Z"),
        phase="Failed",
        name="a",
        deleted="2026-11-23T12:00:50Z",
    )
    told = seen(state(later, first, job=FAILED, completions=2))
    assert (Phase.FAILED, 3) == (told.phase, told.exit_code)


def test_while_other_ranks_are_being_ended_the_attempt_still_runs() -> None:
    failed = pod(state=ended(3, "Error"), phase="Failed", name="a")
    told = seen(state(failed, pod(state=STARTED, phase="Running", name="b"), completions=2))
    assert (Phase.RUNNING, "one of its pods has ended, the others are being ended") == (
        told.phase,
        told.reason,
    )


def test_a_job_without_a_pod_to_tell_was_interrupted() -> None:
    told = seen(state(job=FAILED))
    assert (Phase.INTERRUPTED, "its pod is gone: deleted, or its node was lost") == (told.phase, told.reason)


def test_time_that_is_over_is_no_interruption() -> None:
    told = seen(state(job={**FAILED, "reason": "DeadlineExceeded"}))
    assert Phase.FAILED is told.phase
    assert told.reason.startswith("its time was over\nNext step: give it more")


def test_a_pod_that_is_deleted_and_does_not_go_was_on_a_lost_node() -> None:
    leaving = pod(state=STARTED, phase="Running", deleted="2026-11-23T12:00:30Z")
    assert "its pod is being ended" == seen(state(leaving), 40).reason
    told = seen(state(leaving), 91)
    assert (Phase.INTERRUPTED, "its node 'node1' was lost") == (told.phase, told.reason)


def test_a_halted_or_stopped_job_says_so() -> None:
    assert Phase.SUSPENDED is seen(state(suspend=True)).phase
    running = pod(state=STARTED, phase="Running")
    asked = {STOPPED: "2026-11-23T12:00:00Z"}
    assert (Phase.RUNNING, "stopping") == (
        seen(state(running, annotations=asked, suspend=True)).phase,
        seen(state(running, annotations=asked, suspend=True)).reason,
    )
    ended_ = pod(state=ended(143, "Error"), phase="Failed")
    told = seen(state(ended_, annotations=asked, suspend=True))
    assert (Phase.INTERRUPTED, 143, "stopped") == (told.phase, told.exit_code, told.reason)
