"""What a person asks for: accepted in every usual form, or refused with the whole story."""

import itertools
from datetime import timedelta
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from mltemporal import request
from mltemporal.errors import InvalidRequest
from mltemporal.specs.request import PodOptions, Resources, SecretRef


def refusal(call: Any, *args: Any, **kwargs: Any) -> tuple[str, str]:
    """Return what an error says happened, and its next step."""
    with pytest.raises(InvalidRequest) as caught:
        call(*args, **kwargs)
    return caught.value.what, caught.value.next_step


@pytest.mark.parametrize(
    ("given", "seconds"),
    [
        ("90s", 90.0),
        ("30m", 1800.0),
        ("24h", 86_400.0),
        ("2d", 172_800.0),
        ("1h30m", 5400.0),
        ("1 h 30 m", 5400.0),
        (" 1.5h ", 5400.0),
        (90, 90.0),
        (1.5, 1.5),
        (np.int64(90), 90.0),
        (np.float32(1.5), 1.5),
        (timedelta(minutes=2), 120.0),
        (1, 1.0),
        (365 * 86_400, 31_536_000.0),
    ],
)
def test_a_duration_is_understood(given: Any, seconds: float) -> None:
    assert seconds == request.seconds(given)


USUAL = 'give e.g. "90s", "30m", "24h", "2d", "1h30m", or a number of seconds'
RANGE = "give 1 second to 365 days"


@pytest.mark.parametrize(
    ("given", "what", "next_step"),
    [
        ("soon", "timeout='soon' is no duration", USUAL),
        ("", "timeout='' is no duration", USUAL),
        ("90", "timeout='90' is no duration", USUAL),
        ("24 hours", "timeout='24 hours' is no duration", USUAL),
        ("2 4h", "timeout='2 4h' is no duration", USUAL),
        ("-1h", "timeout='-1h' is no duration", USUAL),
        (None, "timeout=None is no duration", USUAL),
        (True, "timeout=True is no duration", USUAL),
        ([1], "timeout=[1] is no duration", USUAL),
        (0, "timeout=0 is out of range", RANGE),
        ("0s", "timeout='0s' is out of range", RANGE),
        (-5, "timeout=-5 is out of range", RANGE),
        ("366d", "timeout='366d' is out of range", RANGE),
        (float("nan"), "timeout=nan is out of range", RANGE),
        (float("inf"), "timeout=inf is out of range", RANGE),
    ],
)
def test_what_is_no_duration_is_refused(given: Any, what: str, next_step: str) -> None:
    assert (what, next_step) == refusal(request.seconds, given)


def test_the_backend_is_local_unless_told() -> None:
    assert request.backend(None) == request.backend("local") == "local"


@pytest.mark.parametrize(
    ("name", "next_step"),
    [
        ("locl", "did you mean 'local'? available: local, kubernetes"),
        ("slurm", "available: local, kubernetes"),
        (7, "available: local, kubernetes"),
    ],
)
def test_an_unknown_backend_is_refused(name: Any, next_step: str) -> None:
    assert (f"there is no backend {name!r}", next_step) == refusal(request.backend, name)


@pytest.mark.parametrize("value", [0, 3, np.int64(3), np.uint8(3)])
def test_a_whole_number_is_python_s_own(value: Any) -> None:
    found = request.whole_number("seed", value, 0, 10)
    assert (int, int(value)) == (type(found), found)


@pytest.mark.parametrize("value", [-1, 11, 1.0, "3", True, None, np.float64(3)])
def test_what_is_no_whole_number_is_refused(value: Any) -> None:
    expected = (f"seed={value!r} is not possible", "give a whole number from 0 to 10")
    assert expected == refusal(request.whole_number, "seed", value, 0, 10)


@pytest.mark.parametrize("value", [0, 0.2, 0.999, np.float32(0.5)])
def test_a_share_is_from_0_to_below_1(value: Any) -> None:
    found = request.share("test_size", value)
    assert (float, float(value)) == (type(found), found)


@pytest.mark.parametrize("value", [1, 1.5, -0.1, "0.2", None, False, float("nan")])
def test_what_is_no_share_is_refused(value: Any) -> None:
    expected = (
        f"test_size={value!r} is no share of the rows",
        "give a number from 0 (no evaluation) to below 1",
    )
    assert expected == refusal(request.share, "test_size", value)


@pytest.mark.parametrize("value", ["churn", "größe 2", "学习", "x" * 100])
def test_a_name_is_printable_text(value: str) -> None:
    assert value == request.label("name", value)


@pytest.mark.parametrize("value", ["", "x" * 101, "two\nlines", "a\0b", "\x1b[31m", 7, None])
def test_what_is_no_name_is_refused(value: Any) -> None:
    expected = (f"name={value!r} is no name", "give 1 to 100 printable characters")
    assert expected == refusal(request.label, "name", value)


def test_tags_are_a_list_of_texts() -> None:
    assert ("a", "b") == request.labels("tags", ["a", "b"]) == request.labels("tags", iter("ab"))
    assert () == request.labels("tags", ())


@pytest.mark.parametrize("value", ["nightly", 7, None])
def test_one_text_is_no_list_of_tags(value: Any) -> None:
    expected = (f"tags={value!r} is no list of texts", 'give a list: tags=["nightly"]')
    assert expected == refusal(request.labels, "tags", value)


def test_a_tag_that_is_no_text_is_named() -> None:
    assert ("tags=7 is no name", "give 1 to 100 printable characters") == refusal(
        request.labels, "tags", ["a", 7]
    )


def test_parameters_are_a_mapping() -> None:
    assert {} == request.parameters(None)
    assert {"k": 3} == request.parameters({"k": 3})
    expected = ("params is a list, not a mapping", 'give params={"name": value}')
    assert expected == refusal(request.parameters, [1])
    expected = ("3 cannot name a parameter", 'give text: params={"name": value}')
    assert expected == refusal(request.parameters, {3: 1})


def test_an_environment_is_a_mapping_of_texts() -> None:
    assert request.environment(None) == {}
    assert request.environment({"A": "b", "EMPTY": ""}) == {"A": "b", "EMPTY": ""}


@pytest.mark.parametrize(
    ("env", "what", "next_step"),
    [
        ([("A", "b")], "env is a list, not a mapping", 'give env={"NAME": "value"}'),
        ({"A=": "b"}, "'A=' cannot name an environment variable", "use letters, digits and '_'"),
        ({"": "b"}, "'' cannot name an environment variable", "use letters, digits and '_'"),
        ({7: "b"}, "7 cannot name an environment variable", "use letters, digits and '_'"),
        ({"A": 7}, "the value of env['A'] is no text", "give text: A=str(…)"),
        ({"A": "swordfish\0"}, "the value of env['A'] is no text", "give text: A=str(…)"),
    ],
)
def test_what_is_no_environment_is_refused_without_telling_values(
    env: Any, what: str, next_step: str
) -> None:
    told = refusal(request.environment, env)
    assert (what, next_step) == told
    assert "swordfish" not in "".join(told)


@pytest.mark.parametrize(
    ("wanted", "resources"),
    [
        (None, Resources()),
        ({}, Resources()),
        ({"cpu": 2}, Resources(cpu=2.0)),
        ({"cpu": "2"}, Resources(cpu=2.0)),
        ({"cpu": "500m"}, Resources(cpu=0.5)),
        ({"cpu": np.float64(1.5)}, Resources(cpu=1.5)),
        (Resources(cpu=2), Resources(cpu=2.0)),
        ({"cpu": 1, "memory": "2Gi"}, Resources(cpu=1.0, memory="2Gi")),
        ({"memory": 2**31}, Resources(memory="2147483648")),
        ({"gpu": 1}, Resources(others={"nvidia.com/gpu": "1"})),
        ({"amd.com/gpu": 2, "ephemeral-storage": "5Gi"}, None),
    ],
)
def test_resources_are_understood(wanted: Any, resources: Resources | None) -> None:
    expected = resources or Resources(others={"amd.com/gpu": "2", "ephemeral-storage": "5Gi"})
    assert expected == request.resources(wanted)


USUAL_RESOURCES = 'give e.g. resources={"cpu": 4, "memory": "16Gi", "gpu": 1, "ephemeral-storage": "50Gi"}'


@pytest.mark.parametrize(
    ("wanted", "what", "next_step"),
    [
        ("2", "resources='2' is no mapping", USUAL_RESOURCES),
        ({"memroy": "2Gi"}, "there is no resource 'memroy'", f"did you mean 'memory'? {USUAL_RESOURCES}"),
        ({"disk": "2Gi"}, "there is no resource 'disk'", USUAL_RESOURCES),
        ({7: 1}, "there is no resource 7", USUAL_RESOURCES),
        ({"memory": 4}, "resources memory=4 is no quantity", USUAL_RESOURCES),
        ({"gpu": True}, "resources gpu=True is no quantity", USUAL_RESOURCES),
        ({"cpu": "two"}, "resources cpu='two' is no number of cores", 'give e.g. resources={"cpu": 2}'),
        ({"cpu": True}, "resources cpu=True is no number of cores", 'give e.g. resources={"cpu": 2}'),
        (Resources(cpu="two"), "resources cpu='two' is no number of cores", None),  # type: ignore[arg-type]
    ],
)
def test_resources_that_nobody_can_have_are_refused(wanted: Any, what: str, next_step: str | None) -> None:
    told = refusal(request.resources, wanted)
    assert (what, next_step or told[1]) == told


NOTHING: dict[str, Any] = {
    "image": None,
    "nodes": 1,
    "packages": (),
    "secrets": (),
    "node_selector": None,
    "tolerations": (),
    "affinity": None,
    "priority_class": None,
    "service_account": None,
    "image_pull_secrets": (),
    "volumes": None,
    "pod_template": None,
}


def test_options_of_a_pod_are_understood(tmp_path: Path) -> None:
    assert PodOptions() == request.pod_options(**NOTHING)
    file = tmp_path / "pod.yaml"
    file.write_text("spec:\n  hostAliases: [{ip: 10.0.0.1, hostnames: [db]}]\n")
    template = {"spec": {"hostAliases": [{"ip": "10.0.0.1", "hostnames": ["db"]}]}}
    for given in (template, str(file), file):
        assert template == request.pod_options(**NOTHING | {"pod_template": given}).template
    found = request.pod_options(
        **NOTHING
        | {
            "secrets": ["wandb", "keys:/var/run/keys"],
            "volumes": {"/data": "claim", "/config": {"configMap": {"name": "config"}}},
            "packages": ["lightgbm>=4"],
        }
    )
    assert (SecretRef(name="wandb"), SecretRef(name="keys", mount_path="/var/run/keys")) == found.secrets
    assert {"persistentVolumeClaim": {"claimName": "claim"}} == found.volumes["/data"]
    assert {"configMap": {"name": "config"}} == found.volumes["/config"]


@pytest.mark.parametrize(
    ("given", "what"),
    [
        ({"nodes": 0}, "nodes=0 is not possible"),
        ({"nodes": 2.5}, "nodes=2.5 is not possible"),
        ({"packages": "lightgbm"}, "packages='lightgbm' is no list of texts"),
        ({"packages": ["lightgbm=4"]}, "packages has 'lightgbm=4', which pip cannot install"),
        ({"secrets": "wandb"}, "secrets='wandb' is no list of texts"),
        ({"tolerations": {"key": "gpu"}}, "tolerations={'key': 'gpu'} is no list"),
        ({"node_selector": {"zone": 1}}, "node_selector={'zone': 1} has values that are no text"),
        ({"affinity": "zone"}, "affinity='zone' is no mapping"),
        ({"volumes": {"/data": 7}}, "volumes['/data']=7 is no mapping"),
        ({"pod_template": {"containers": []}}, "the pod template has containers at its top"),
        ({"pod_template": "no/such/file.yaml"}, "the pod template 'no/such/file.yaml' cannot be read"),
    ],
)
def test_options_of_a_pod_that_cannot_be_are_refused(given: Any, what: str) -> None:
    assert what in refusal(request.pod_options, **NOTHING | given)[0]


def test_a_name_of_a_megabyte_is_refused_in_a_few_words() -> None:
    what, _ = refusal(request.label, "name", "x" * 1_000_000)
    assert len(what) < 300


def test_ten_thousand_tags_are_refused_and_an_endless_list_too() -> None:
    expected = ("tags has more than 100 texts", "give fewer")
    assert expected == refusal(request.labels, "tags", [f"tag {i}" for i in range(10_000)])
    assert expected == refusal(request.labels, "tags", (f"tag {i}" for i in itertools.count()))


def test_an_environment_of_a_megabyte_is_refused_without_showing_it() -> None:
    what, next_step = refusal(request.environment, {"KEY": "swordfish" * 100_000})
    assert "env holds 900,003 characters" == what
    assert "swordfish" not in next_step
