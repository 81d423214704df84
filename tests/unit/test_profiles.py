"""Profiles: named sets of settings in a file; what the environment says itself wins."""

import os
from pathlib import Path

import pytest

from mltemporal.errors import InvalidRequest
from mltemporal.profiles import profile_names
from mltemporal.settings import load_settings, own_environment, process_settings, withdraw_exports

TEAM = """
[profile.team]
database_url = "postgresql://ml@db.example/ml"
storage_url = "s3://team-ml/jobs"
backend = "kubernetes"
max_local_jobs = 3
image = "registry.example/ml:1.4"

[profile.team.kubernetes]
namespace = "ml"
image_pull_secrets = ["one", "two"]

[profile.team.env]
TEMPORAL_ADDRESS = "temporal.example:7233"
TEMPORAL_TLS = true
AWS_PROFILE = "team"

[profile.other]
storage_url = "s3://other/jobs"
"""


@pytest.fixture
def environ(tmp_path: Path):
    """Write the file, and return the environment that names it."""

    def write(text: str = TEAM, **more: str) -> dict[str, str]:
        path = tmp_path / "config.toml"
        path.write_text(text)
        return {"MLTEMPORAL_HOME": str(tmp_path), "MLTEMPORAL_CONFIG_FILE": str(path), **more}

    return write


def test_a_profile_sets_what_its_table_says(environ) -> None:
    settings = load_settings(environ(MLTEMPORAL_PROFILE="team"))
    assert "postgresql://ml@db.example/ml" == settings.database_url
    assert ("kubernetes", "registry.example/ml:1.4", 3) == (
        settings.backend,
        settings.image,
        settings.max_local_jobs,
    )
    assert ("ml", ("one", "two")) == (settings.cluster.namespace, settings.cluster.image_pull_secrets)
    assert settings.temporal_configured
    assert {"TEMPORAL_ADDRESS": "temporal.example:7233", "TEMPORAL_TLS": "true", "AWS_PROFILE": "team"} == (
        settings.foreign
    )


def test_the_environment_wins_over_the_profile(environ) -> None:
    settings = load_settings(
        environ(
            MLTEMPORAL_PROFILE="team", MLTEMPORAL_KUBERNETES_NAMESPACE="mine", TEMPORAL_ADDRESS="here:7233"
        )
    )
    assert "mine" == settings.cluster.namespace
    assert "TEMPORAL_ADDRESS" not in settings.foreign


def test_without_a_choice_the_profile_named_default_is_taken(environ) -> None:
    assert "s3://a/b" == load_settings(environ('[profile.default]\nstorage_url = "s3://a/b"')).storage_url
    assert "local" == load_settings(environ()).backend


def test_a_child_process_needs_no_profile_to_read_the_same(environ) -> None:
    settings = load_settings(environ(MLTEMPORAL_PROFILE="team"))
    child = load_settings(settings.environ())
    assert settings == child
    assert settings.environ().items() >= settings.foreign.items()


def test_a_process_gives_its_libraries_what_the_profile_says(environ, monkeypatch) -> None:
    for name in ("TEMPORAL_ADDRESS", "TEMPORAL_TLS", "AWS_PROFILE"):
        monkeypatch.setenv(name, "")  # restored in the end
        monkeypatch.delenv(name)
    monkeypatch.setenv("AWS_PROFILE", "mine")
    for name, value in environ(MLTEMPORAL_PROFILE="team").items():
        monkeypatch.setenv(name, value)
    process_settings()
    assert ("temporal.example:7233", "mine") == (os.environ["TEMPORAL_ADDRESS"], os.environ["AWS_PROFILE"])


def test_a_profile_leaves_nothing_to_the_next_one(environ, monkeypatch) -> None:
    for name in ("TEMPORAL_ADDRESS", "TEMPORAL_TLS"):
        monkeypatch.setenv(name, "")
        monkeypatch.delenv(name)
    for name, value in environ(MLTEMPORAL_PROFILE="team").items():
        monkeypatch.setenv(name, value)
    assert process_settings().foreign == load_settings().foreign != {}
    monkeypatch.setenv("MLTEMPORAL_PROFILE", "other")
    assert {} == load_settings().foreign
    assert "TEMPORAL_ADDRESS" not in own_environment()
    withdraw_exports()
    assert "TEMPORAL_ADDRESS" not in os.environ


def test_a_profile_has_a_home_of_its_own(environ, tmp_path) -> None:
    assert tmp_path / "profiles" / "team" == load_settings(environ(MLTEMPORAL_PROFILE="team")).home
    assert tmp_path == load_settings(environ()).home
    own = environ('[profile.team]\nhome = "/srv/ml"', MLTEMPORAL_PROFILE="team")
    del own["MLTEMPORAL_HOME"]
    assert Path("/srv/ml") == load_settings(own).home


def test_the_names_of_the_profiles_are_known(environ) -> None:
    assert ["other", "team"] == profile_names(environ())
    assert [] == profile_names({"MLTEMPORAL_CONFIG_FILE": "/nowhere/config.toml"})


@pytest.mark.parametrize(
    ("text", "what", "next_step"),
    [
        (TEAM, "there is no profile 'mine' in ", "it has other, team"),
        ("", "there is no profile 'mine' in ", "add a table [profile.mine] to it"),
        ("[profile.mine]\nstorage_ulr = 's3://a'", "has an unknown key 'storage_ulr'", "mean 'storage_url'?"),
        ("[profile.mine.kubernetes]\nnamspace = 'a'", "unknown key 'kubernetes_namspace'", "namespace'?"),
        ("[profile.mine.env]\nPATH = '/bin'", "sets 'PATH', which is no library's", "begin with AWS_, "),
        ("[profile]\nmine = 3", "profile.mine is no table", "write [profile.mine] on a line of its own"),
        ("[profile.mine\n", "cannot be read: ", "correct the file"),
        ("[profile.mine]\nbackend = 'slurm'", "MLTEMPORAL_BACKEND='slurm' is none", "use one of local, kube"),
        ("[profile.mine]\nweb_port = 99999", "MLTEMPORAL_WEB_PORT='99999' is not a whole number", "set MLT"),
    ],
)
def test_what_is_wrong_with_a_profile_is_named(environ, text: str, what: str, next_step: str) -> None:
    with pytest.raises(InvalidRequest) as caught:
        load_settings(environ(text, MLTEMPORAL_PROFILE="mine"))
    assert what in caught.value.what
    assert next_step in caught.value.next_step
