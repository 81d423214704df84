"""Watches: resuming, selectors, bookmarks, compaction."""

from __future__ import annotations

import threading

import pytest
from kubernetes import client

MAPS = "/api/v1/namespaces/default/configmaps"


def config_map(name, label):
    return {"metadata": {"name": name, "labels": {"app": label}}}


def revision(k8s):
    return k8s.core.list_namespaced_config_map("default").metadata.resource_version


def seen(k8s, **query):
    """Return type and name of all that a watch of one second sees."""
    query = {"timeout_seconds": 1, **query}
    return [
        (event["type"], event["raw_object"]["metadata"].get("name"))
        for event in k8s.watch(k8s.core.list_namespaced_config_map, "default", **query)
    ]


def test_a_watch_goes_on_from_a_revision(k8s):
    before = revision(k8s)
    k8s.raw("POST", MAPS, config_map("w1", "resume"))
    k8s.raw("PATCH", f"{MAPS}/w1", {"data": {"x": "y"}})
    k8s.raw("DELETE", f"{MAPS}/w1")
    expected = [("ADDED", "w1"), ("MODIFIED", "w1"), ("DELETED", "w1")]
    assert expected == seen(k8s, resource_version=before)


def test_a_watch_without_a_revision_shows_first_what_is_there(k8s):
    k8s.raw("POST", MAPS, config_map("w2", "first"))
    assert [("ADDED", "w2")] == seen(k8s, label_selector="app=first")


def test_what_no_longer_matches_the_selector_looks_deleted(k8s):
    k8s.raw("POST", MAPS, config_map("w3", "inside"))
    before = revision(k8s)
    k8s.raw("PATCH", f"{MAPS}/w3", {"metadata": {"labels": {"app": "outside"}}})
    k8s.raw("PATCH", f"{MAPS}/w3", {"metadata": {"labels": {"app": "inside"}}})
    expected = [("DELETED", "w3"), ("ADDED", "w3")]
    assert expected == seen(k8s, resource_version=before, label_selector="app=inside")


def test_a_watch_of_a_forgotten_revision_is_told_that_it_is_gone(k8s, cluster):
    before = revision(k8s)
    cluster.compact()
    with pytest.raises(client.ApiException) as caught:
        seen(k8s, resource_version=before)
    assert 410 == caught.value.status
    assert f"too old resource version: {before} (" in caught.value.reason


def test_bookmarks_come_to_those_who_ask(k8s):
    before = revision(k8s)
    k8s.raw("POST", MAPS, config_map("w4", "unseen"))
    now = revision(k8s)
    query = {"resourceVersion": before, "watch": "true", "timeoutSeconds": 1, "labelSelector": "app=none"}
    answer = k8s.raw("GET", MAPS, **query, allowWatchBookmarks="true")
    assert "BOOKMARK" == answer["type"]
    assert int(answer["object"]["metadata"]["resourceVersion"]) >= int(now)


def test_a_watch_sees_a_change_as_it_happens(k8s):
    before = revision(k8s)
    timer = threading.Timer(0.3, k8s.raw, ("POST", MAPS, config_map("w5", "later")))
    timer.start()
    events = k8s.watch(
        k8s.core.list_namespaced_config_map, "default", resource_version=before, timeout_seconds=5
    )
    assert "w5" == next(events)["object"].metadata.name
    events.close()
    timer.join()
