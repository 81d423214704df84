"""A pod template is merged as Kubernetes merges, and must leave what we rely on."""

import pytest

from mltemporal.errors import InvalidRequest
from mltemporal.launchers.kubernetes.template import merge, read_template

SIDECAR = {"name": "proxy", "image": "proxy:1"}


def test_objects_merge_by_key_and_null_removes() -> None:
    ours = {"a": {"b": 1, "c": 2}, "d": [1], "e": 5}
    assert {"a": {"b": 3, "c": 2}, "d": [2]} == merge(ours, {"a": {"b": 3}, "d": [2], "e": None})
    assert {"a": {"b": 1, "c": 2}, "d": [1], "e": 5} == ours


def test_lists_of_named_things_merge_by_name() -> None:
    ours = {"containers": [{"name": "training", "image": "i", "env": [{"name": "A", "value": "1"}]}]}
    theirs = {
        "containers": [SIDECAR, {"name": "training", "env": [{"name": "B", "value": "2"}]}],
        "tolerations": [{"key": "gpu"}],
    }
    merged = merge(ours, theirs)
    assert ["training", "proxy"] == [each["name"] for each in merged["containers"]]
    assert [{"name": "A", "value": "1"}, {"name": "B", "value": "2"}] == merged["containers"][0]["env"]
    assert [{"key": "gpu"}] == merged["tolerations"]


def test_an_entry_can_be_deleted_and_must_say_its_name() -> None:
    ours = {"volumes": [{"name": "scratch", "emptyDir": {}}, {"name": "shm", "emptyDir": {}}]}
    merged = merge(ours, {"volumes": [{"name": "shm", "$patch": "delete"}]})
    assert ["scratch"] == [each["name"] for each in merged["volumes"]]
    with pytest.raises(InvalidRequest, match="an entry of the pod template has no 'name'"):
        merge(ours, {"volumes": [{"emptyDir": {}}]})


def test_a_template_is_a_dict_or_a_file(tmp_path) -> None:
    path = tmp_path / "pod.yaml"
    path.write_text("apiVersion: v1\nkind: PodTemplate\nspec:\n  hostname: null\n")
    assert {"spec": {"hostname": None}} == read_template(path)
    assert {"metadata": {"labels": {"a": "b"}}} == read_template({"metadata": {"labels": {"a": "b"}}})


@pytest.mark.parametrize(
    ("given", "what"),
    [
        (3, "the pod template is a int"),
        ({"containers": []}, "the pod template has containers at its top"),
        ({"spec": []}, "spec of the pod template is no mapping"),
        ("nowhere.yaml", "the pod template 'nowhere.yaml' cannot be read: No such file"),
    ],
)
def test_what_is_no_template_is_refused(given: object, what: str) -> None:
    with pytest.raises(InvalidRequest) as caught:
        read_template(given)
    assert caught.value.what.startswith(what)


def test_a_file_that_is_no_yaml_is_named(tmp_path) -> None:
    path = tmp_path / "pod.yaml"
    path.write_text("spec: [")
    with pytest.raises(InvalidRequest, match=r"pod\.yaml' is no YAML"):
        read_template(path)


def test_other_containers_and_fields_are_fine(manifest) -> None:
    template = {
        "metadata": {"annotations": {"a": "b"}},
        "spec": {"containers": [SIDECAR], "hostAliases": [{"ip": "10.0.0.1", "hostnames": ["x"]}]},
    }
    made = manifest(pod={"template": template})["spec"]["template"]
    assert ["training", "proxy"] == [each["name"] for each in made["spec"]["containers"]]
    assert "b" == made["metadata"]["annotations"]["a"]
    assert [{"ip": "10.0.0.1", "hostnames": ["x"]}] == made["spec"]["hostAliases"]


@pytest.mark.parametrize(
    ("template", "what"),
    [
        ({"spec": {"restartPolicy": "OnFailure"}}, "restartPolicy from 'Never' to 'OnFailure'"),
        ({"spec": {"terminationGracePeriodSeconds": 0}}, "terminationGracePeriodSeconds"),
        ({"spec": {"hostname": "me"}}, "hostname"),
        ({"spec": {"containers": [{"name": "training", "image": "mine:1"}]}}, "training.image"),
        ({"spec": {"containers": [{"name": "training", "command": ["sh"]}]}}, "training.command"),
        ({"spec": {"containers": [{"name": "training", "tty": True}]}}, "training.tty"),
        ({"metadata": {"labels": {"mltemporal.io/job": "other"}}}, "label mltemporal.io/job"),
        ({"metadata": {"labels": {"mltemporal.io/owner": None}}}, "label mltemporal.io/owner"),
        ({"spec": {"containers": [{"name": "training", "$patch": "delete"}]}}, "the container 'training'"),
        (
            {"spec": {"containers": [{"name": "training", "env": [{"name": "MLTEMPORAL_ATTEMPT"}]}]}},
            None,  # the same value stays
        ),
        (
            {
                "spec": {
                    "containers": [
                        {"name": "training", "env": [{"name": "MLTEMPORAL_JOB_KEY", "value": "other"}]}
                    ]
                }
            },
            "variable MLTEMPORAL_JOB_KEY",
        ),
        (
            {
                "spec": {
                    "containers": [
                        {"name": "training", "volumeMounts": [{"mountPath": "/scratch", "readOnly": True}]}
                    ]
                }
            },
            "mount /scratch",
        ),
    ],
)
def test_what_we_rely_on_stays(manifest, template, what) -> None:
    if what is None:
        manifest(pod={"template": template})
        return
    with pytest.raises(InvalidRequest) as caught:
        manifest(pod={"template": template})
    assert what in caught.value.what
