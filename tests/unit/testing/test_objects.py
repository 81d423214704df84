"""The API server's rules for objects: identity, conflicts, selectors, pages, validation, deletion."""

from __future__ import annotations

import pytest
from kubernetes import client

SERVICES = "/api/v1/namespaces/default/services"
MAPS = "/api/v1/namespaces/default/configmaps"


def config_map(name, **meta):
    return {"metadata": {"name": name, **meta}, "data": {"a": "1"}}


def test_a_new_object_has_a_uid_a_revision_and_a_time_of_creation(k8s):
    made = k8s.raw("POST", MAPS, config_map("fresh"))
    assert {"uid", "resourceVersion", "creationTimestamp"} <= set(made["metadata"])
    assert made == k8s.raw("GET", f"{MAPS}/fresh")


def test_a_generated_name_has_five_characters_more(k8s):
    made = k8s.raw("POST", MAPS, {"metadata": {"generateName": "some-"}})
    assert len("some-") + 5 == len(made["metadata"]["name"])


def test_a_name_can_be_given_once(k8s, refusal, new_job):
    k8s.run(name="once")
    status = refusal(lambda: k8s.batch.create_namespaced_job("default", new_job("once")))
    assert (409, "AlreadyExists") == (status["code"], status["reason"])
    assert 'jobs.batch "once" already exists' == status["message"]
    assert {"name": "once", "group": "batch", "kind": "jobs"} == status["details"]


def test_what_is_not_there_is_not_found(k8s, refusal):
    status = refusal(lambda: k8s.core.read_namespaced_pod("nobody", "default"))
    assert (404, 'pods "nobody" not found') == (status["code"], status["message"])


def test_a_namespace_must_exist_for_what_is_created_in_it(k8s, refusal, new_job):
    status = refusal(lambda: k8s.batch.create_namespaced_job("nowhere", new_job("x")))
    assert (404, 'namespaces "nowhere" not found') == (status["code"], status["message"])
    assert [] == k8s.core.list_namespaced_pod("nowhere").items


def test_an_update_from_an_old_revision_is_a_conflict(k8s, refusal):
    old = k8s.raw("POST", MAPS, config_map("raced"))
    k8s.raw("PATCH", f"{MAPS}/raced", {"data": {"b": "2"}})
    status = refusal(lambda: k8s.raw("PUT", f"{MAPS}/raced", old))
    assert (409, "Conflict") == (status["code"], status["reason"])
    assert (
        "the object has been modified; please apply your changes to the latest version" in status["message"]
    )


def test_a_change_that_changes_nothing_makes_no_revision(k8s):
    before = k8s.raw("POST", MAPS, config_map("calm"))
    after = k8s.raw("PATCH", f"{MAPS}/calm", {"data": {"a": "1"}})
    assert before["metadata"]["resourceVersion"] == after["metadata"]["resourceVersion"]


def test_the_status_changes_only_through_the_status_subresource(k8s):
    name = k8s.run("sleep", "60", suspend=True)
    path = f"/apis/batch/v1/namespaces/default/jobs/{name}"
    k8s.raw("PATCH", path, {"status": {"failed": 7}})
    assert "failed" not in k8s.job(name)["status"]
    k8s.raw("PATCH", f"{path}/status", {"status": {"failed": 7}})
    assert 7 == k8s.job(name)["status"]["failed"]


def test_a_strategic_merge_patch_merges_lists_by_name(k8s):
    ports = [{"name": "a", "port": 1}, {"name": "b", "port": 2}]
    k8s.raw("POST", SERVICES, {"metadata": {"name": "svc"}, "spec": {"ports": ports, "clusterIP": "None"}})
    patch = {"spec": {"ports": [{"port": 2, "name": "c"}]}}
    patched = k8s.core.patch_namespaced_service("svc", "default", patch)
    assert [("a", 1), ("c", 2)] == [(port.name, port.port) for port in patched.spec.ports]


def test_a_json_patch_is_understood(k8s):
    k8s.raw("POST", MAPS, config_map("patched"))
    operations = [
        {"op": "add", "path": "/metadata/labels", "value": {"x": "y"}},
        {"op": "remove", "path": "/data/a"},
    ]
    patched = k8s.core.patch_namespaced_config_map("patched", "default", operations)
    assert ({"x": "y"}, {}) == (patched.metadata.labels, patched.data or {})


@pytest.mark.parametrize(
    ("selector", "names"),
    [
        ("app=one", ["sel-1"]),
        ("app!=one,app", ["sel-2"]),
        ("app in (one,two)", ["sel-1", "sel-2"]),
        ("app notin (one), app", ["sel-2"]),
        ("!nothing,app==two", ["sel-2"]),
    ],
)
def test_label_selectors_select(k8s, selector, names):
    for name, app in (("sel-1", "one"), ("sel-2", "two")):
        if not k8s.raw("GET", MAPS, fieldSelector=f"metadata.name={name}")["items"]:
            k8s.raw("POST", MAPS, config_map(name, labels={"app": app}))
    found = k8s.core.list_namespaced_config_map("default", label_selector=selector)
    assert names == [item.metadata.name for item in found.items]


def test_a_field_that_is_not_indexed_cannot_be_selected(k8s, refusal):
    status = refusal(lambda: k8s.core.list_namespaced_pod("default", field_selector="spec.image=x"))
    assert (400, "field label not supported: spec.image") == (status["code"], status["message"])


def test_a_list_in_pages_shows_one_moment(k8s, cluster, refusal):
    for number in range(5):
        k8s.raw("POST", MAPS, config_map(f"page-{number}", labels={"pages": "yes"}))
    first = k8s.core.list_namespaced_config_map("default", label_selector="pages", limit=2)
    k8s.raw("DELETE", f"{MAPS}/page-3")
    token = first.metadata._continue
    rest = k8s.core.list_namespaced_config_map("default", label_selector="pages", limit=9, _continue=token)
    names = [item.metadata.name for item in [*first.items, *rest.items]]
    assert [f"page-{number}" for number in range(5)] == names
    assert 3 == first.metadata.remaining_item_count
    cluster.compact()
    status = refusal(lambda: k8s.core.list_namespaced_config_map("default", _continue=token))
    assert (410, "Expired") == (status["code"], status["reason"])


def test_a_dry_run_checks_and_stores_nothing(k8s, refusal, new_job):
    made = k8s.batch.create_namespaced_job("default", new_job("dry"), dry_run="All")
    assert made.metadata.uid
    assert 404 == refusal(lambda: k8s.batch.read_namespaced_job("dry", "default"))["code"]
    assert (
        422
        == refusal(lambda: k8s.batch.create_namespaced_job("default", new_job("Dry"), dry_run="All"))["code"]
    )


def test_a_bad_name_is_invalid_in_the_real_words(k8s, refusal, new_job):
    status = refusal(lambda: k8s.batch.create_namespaced_job("default", new_job("Bad_Name")))
    assert (422, "Invalid") == (status["code"], status["reason"])
    assert status["message"].startswith(
        'Job.batch "Bad_Name" is invalid: metadata.name: Invalid value: "Bad_Name": '
        "a lowercase RFC 1123 subdomain must consist of lower case alphanumeric characters, '-' or '.', "
    )
    assert "metadata.name" == status["details"]["causes"][0]["field"]


def test_a_quantity_that_is_none_is_a_bad_request(k8s, refusal, new_job):
    body = new_job("q", container={"resources": {"limits": {"cpu": "two"}}})
    status = refusal(lambda: k8s.batch.create_namespaced_job("default", body))
    assert 400 == status["code"]
    assert (
        'Job in version "v1" cannot be handled as a Job: quantities must match the regular expression '
        "'^([+-]?[0-9.]+)([eEinumkKMGTP]*[-+]?[0-9]*)$'"
    ) == status["message"]


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"container": {"resources": {"requests": {"cpu": "2"}, "limits": {"cpu": "1"}}}},
         'resources.requests: Invalid value: "2": must be less than or equal to cpu limit of 1'),
        ({"container": {"resources": {"requests": {"nvidia.com/gpu": "1"}}}},
         "Limit must be set for non overcommitable resources"),
        ({"pod": {"restartPolicy": "Always"}},
         'spec.template.spec.restartPolicy: Required value: valid values: "OnFailure", "Never"'),
        ({"container": {"volumeMounts": [{"name": "v", "mountPath": "/v"}]}},
         'spec.template.spec.containers[0].volumeMounts[0].name: Not found: "v"'),
        ({"completionMode": "Indexed"}, "spec.completions: Required value: when completion mode is Indexed"),
        ({"container": {"image": ""}}, "spec.template.spec.containers[0].image: Required value"),
        ({"backoffLimit": -1}, "spec.backoffLimit: Invalid value: -1: must be greater than or equal to 0"),
    ],
)  # fmt: skip
def test_what_breaks_a_rule_is_invalid(k8s, refusal, new_job, changes, words):
    changes = {"completions": None, "parallelism": 1, **changes} if "completionMode" in changes else changes
    status = refusal(lambda: k8s.batch.create_namespaced_job("default", new_job("broken", **changes)))
    assert 422 == status["code"]
    assert words in status["message"]


def test_values_that_must_be_text_are_not_numbers(k8s, refusal, new_job):
    body = new_job("numbers", container={"env": [{"name": "A", "value": 1}]})
    status = refusal(lambda: k8s.batch.create_namespaced_job("default", body))
    assert 400 == status["code"]
    assert (
        "json: cannot unmarshal number into Go struct field EnvVar.spec.template.spec.containers.env.value"
        in status["message"]
    )


def test_the_template_of_a_job_cannot_change(k8s, refusal):
    name = k8s.run("sleep", "60")
    patch = {"spec": {"template": {"spec": {"containers": [{"name": "main", "image": "other:1"}]}}}}
    status = refusal(lambda: k8s.batch.patch_namespaced_job(name, "default", patch))
    assert 422 == status["code"]
    assert "spec.template: Invalid value: " in status["message"]
    assert status["message"].endswith(": field is immutable")
    k8s.batch.delete_namespaced_job(name, "default", propagation_policy="Background")


def test_deleting_a_job_without_a_policy_orphans_its_pods(k8s, until):
    name = k8s.run("sleep", "60")
    uid = k8s.running(name)["metadata"]["uid"]
    k8s.batch.delete_namespaced_job(name, "default")
    until(
        lambda: (
            not [one for one in k8s.batch.list_namespaced_job("default").items if one.metadata.name == name]
        )
    )
    (orphan,) = k8s.pods(name)
    assert (uid, []) == (orphan["metadata"]["uid"], orphan["metadata"].get("ownerReferences", []))
    k8s.core.delete_namespaced_pod(orphan["metadata"]["name"], "default")
    until(lambda: not k8s.pods(name))


def test_deleting_in_the_foreground_waits_for_the_pods(k8s, until):
    trap = "trap 'sleep 0.3; exit 0' TERM; echo up; while :; do sleep 0.05; done"
    name = k8s.run("sh", "-c", trap)
    until(lambda: k8s.pods(name) and k8s.running(name) and "up" in k8s.log(name))
    left = k8s.raw(
        "DELETE", f"/apis/batch/v1/namespaces/default/jobs/{name}", {"propagationPolicy": "Foreground"}
    )
    assert ["foregroundDeletion"] == left["metadata"]["finalizers"]
    assert "deletionTimestamp" in k8s.job(name)["metadata"]
    until(lambda: not k8s.batch.list_namespaced_job("default", field_selector=f"metadata.name={name}").items)
    assert [] == k8s.pods(name)


def test_a_precondition_on_the_uid_protects_a_later_object_of_the_same_name(k8s, refusal):
    k8s.raw("POST", MAPS, config_map("guarded"))
    options = client.V1DeleteOptions(preconditions=client.V1Preconditions(uid="another"))
    status = refusal(lambda: k8s.core.delete_namespaced_config_map("guarded", "default", body=options))
    assert (409, "Conflict") == (status["code"], status["reason"])


def test_a_finalizer_keeps_an_object_until_it_is_taken_off(k8s, refusal):
    k8s.raw("POST", MAPS, config_map("held", finalizers=["example.com/wait"]))
    k8s.raw("DELETE", f"{MAPS}/held")
    assert "deletionTimestamp" in k8s.raw("GET", f"{MAPS}/held")["metadata"]
    k8s.raw("PATCH", f"{MAPS}/held", {"metadata": {"finalizers": None}})
    assert 404 == refusal(lambda: k8s.raw("GET", f"{MAPS}/held"))["code"]


def test_what_loses_its_owner_is_collected(k8s, until):
    owner = k8s.raw("POST", MAPS, config_map("owner"))["metadata"]
    reference = {"apiVersion": "v1", "kind": "ConfigMap", "name": "owner", "uid": owner["uid"]}
    k8s.raw("POST", MAPS, config_map("owned", ownerReferences=[reference]))
    k8s.raw("DELETE", f"{MAPS}/owner")
    until(lambda: not k8s.raw("GET", MAPS, fieldSelector="metadata.name=owned")["items"])


def test_a_collection_is_deleted_by_its_labels(k8s):
    for number in range(3):
        k8s.raw("POST", MAPS, config_map(f"many-{number}", labels={"many": "yes"}))
    k8s.core.delete_collection_namespaced_config_map("default", label_selector="many=yes")
    assert [] == k8s.core.list_namespaced_config_map("default", label_selector="many=yes").items


def test_a_secret_keeps_text_as_base64(k8s, cluster):
    cluster.create_secret("words", {"key": "value"})
    assert {"key": "dmFsdWU="} == k8s.core.read_namespaced_secret("words", "default").data


def test_a_namespace_ends_with_all_that_is_in_it(k8s, cluster, until, new_job):
    cluster.create_namespace("brief")
    k8s.batch.create_namespaced_job("brief", new_job("inside", "sleep", "60"))
    until(lambda: [pod for pod in k8s.pods("inside", "brief") if pod["status"]["phase"] == "Running"])
    k8s.core.delete_namespace("brief")
    until(lambda: not k8s.core.list_namespace(field_selector="metadata.name=brief").items)
    assert [] == k8s.pods("inside", "brief")
