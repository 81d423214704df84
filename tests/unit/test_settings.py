"""Settings are read once, and mean the same in every process."""

import os
from pathlib import Path

import pytest

from mltemporal import settings as settings_module
from mltemporal.errors import InvalidRequest
from mltemporal.settings import load_settings


def test_a_child_process_reads_the_same_settings() -> None:
    given = {
        "MLTEMPORAL_HOME": "/home/me/ml",
        "MLTEMPORAL_DATABASE_URL": "postgresql+psycopg://me:secret@db/jobs",
        "MLTEMPORAL_STORAGE_URL": "s3://bucket/prefix",
        "MLTEMPORAL_TASK_QUEUE": "mine",
        "MLTEMPORAL_MAX_LOCAL_JOBS": "7",
        "MLTEMPORAL_WEB_PORT": "8233",
        "MLTEMPORAL_TEMPORAL_PORT": "7233",
        "MLTEMPORAL_BACKEND": "kubernetes",
        "MLTEMPORAL_IMAGE": "registry.example/ml:1.4",
        "MLTEMPORAL_CHECKPOINT_DAYS": "3",
        "MLTEMPORAL_NOTIFY_WEBHOOK": "https://hooks.example/T0/secret",
        "MLTEMPORAL_NOTIFY_COMMAND": "notify-send --app-name 'ml jobs'",
        "MLTEMPORAL_KUBERNETES_NAMESPACE": "ml",
        "MLTEMPORAL_KUBERNETES_CONTEXT": "work",
        "MLTEMPORAL_KUBERNETES_STORAGE_SECRET": "storage",
        "MLTEMPORAL_KUBERNETES_SERVICE_ACCOUNT": "jobs",
        "MLTEMPORAL_KUBERNETES_IMAGE_PULL_SECRETS": "one,two",
        "MLTEMPORAL_KUBERNETES_IMAGE_POLICY": "digest",
        "TEMPORAL_ADDRESS": "temporal.example:7233",
    }
    settings = load_settings(given)
    assert settings.temporal_configured
    assert settings == load_settings(settings.environ())
    assert {name: value for name, value in given.items() if name.startswith("MLT")}.items() <= (
        settings.environ().items()
    )


def test_a_profile_may_set_all_that_a_child_process_is_told() -> None:
    everything = {f"MLTEMPORAL_{name}" for name in ("TASK_QUEUE", "WEB_PORT", "TEMPORAL_PORT", "IMAGE")}
    others = {"MLTEMPORAL_NOTIFY_WEBHOOK": "http://x", "MLTEMPORAL_NOTIFY_COMMAND": "x"}
    others["MLTEMPORAL_ENCRYPTION_KEYS"] = "keys.json"
    told = set(load_settings(dict.fromkeys(everything, "7233") | others).environ()) | {
        f"MLTEMPORAL_KUBERNETES_{name}"
        for name in ("NAMESPACE", "CONTEXT", "STORAGE_SECRET", "SERVICE_ACCOUNT", "IMAGE_PULL_SECRETS")
    }
    assert told == settings_module._VARIABLES


def test_relative_places_are_those_of_the_process_that_reads_them(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    settings = load_settings(
        {"MLTEMPORAL_STORAGE_URL": "data", "MLTEMPORAL_DATABASE_URL": "sqlite:///jobs.db"}
    )
    assert str(Path.cwd() / "data") == settings.storage_url
    assert f"sqlite:///{Path.cwd() / 'jobs.db'}" == settings.database_url


def test_the_embedded_server_can_be_chosen_in_spite_of_an_address() -> None:
    environ = {"TEMPORAL_ADDRESS": "temporal.example:7233", "MLTEMPORAL_TEMPORAL": "embedded"}
    assert not load_settings(environ).temporal_configured


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("MLTEMPORAL_WEB_PORT", "65536"),
        ("MLTEMPORAL_MAX_LOCAL_JOBS", "two"),
        ("MLTEMPORAL_TEMPORAL", "cloud"),
        ("MLTEMPORAL_BACKEND", "slurm"),
        ("MLTEMPORAL_KUBERNETES_IMAGE_POLICY", "latest"),
    ],
)
def test_a_value_that_cannot_be_is_named(name: str, text: str) -> None:
    with pytest.raises(InvalidRequest, match=f"{name}='{text}' is n"):
        load_settings({name: text})


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("MLTEMPORAL_NOTIFY_WEBHOOK", "file:///swordfish"),
        ("MLTEMPORAL_NOTIFY_WEBHOOK", "https:///swordfish"),
        ("MLTEMPORAL_NOTIFY_WEBHOOK", "https://a/b swordfish"),
        ("MLTEMPORAL_NOTIFY_COMMAND", "say 'swordfish"),
        ("MLTEMPORAL_NOTIFY_COMMAND", " "),
    ],
)
def test_what_is_secret_is_refused_without_being_repeated(name: str, text: str) -> None:
    with pytest.raises(InvalidRequest, match=f"{name} is no") as raised:
        load_settings({name: text})
    assert "swordfish" not in str(raised.value)


def test_a_password_is_not_shown() -> None:
    settings = load_settings(
        {
            "MLTEMPORAL_DATABASE_URL": "postgresql://me:swordfish@db/jobs",
            "MLTEMPORAL_NOTIFY_WEBHOOK": "https://hooks.example/swordfish",
            "MLTEMPORAL_NOTIFY_COMMAND": "tell --token swordfish",
        }
    )
    assert settings.notifies
    assert "swordfish" not in repr(settings)
    assert os.path.isabs(settings.storage_url)
