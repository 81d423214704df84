"""Looks run side by side; one that hangs, raises or talks too much is in nobody's way."""

import threading
from dataclasses import replace

from mltemporal.errors import ServiceUnavailable
from mltemporal.monitoring.looking import Finding, Looker
from mltemporal.settings import Settings, load_settings
from mltemporal.specs.health import HealthState

SECRET = "postgresql://me:swordfish@db/jobs"


def settings() -> Settings:
    return load_settings({"MLTEMPORAL_HOME": "/nowhere", "MLTEMPORAL_DATABASE_URL": SECRET})


def test_each_look_says_how_its_part_is() -> None:
    def away(_: Settings) -> str:
        raise ServiceUnavailable("it does not answer", "start it")

    def little(_: Settings) -> Finding:
        return Finding(HealthState.WARNING, "little is left", "get some")

    well, warned, wrong = Looker(settings(), {"a": lambda _: "fine", "b": little, "c": away}).look()
    assert ("a", HealthState.OK, "fine", "") == (well.part, well.state, well.detail, well.next_step)
    assert (HealthState.WARNING, "little is left", "get some") == (
        warned.state,
        warned.detail,
        warned.next_step,
    )
    assert (HealthState.PROBLEM, "it does not answer", "start it") == (
        wrong.state,
        wrong.detail,
        wrong.next_step,
    )


def test_a_look_that_hangs_is_a_problem_of_its_own_and_is_not_begun_twice() -> None:
    answered, begun = threading.Event(), []

    def hang(_: Settings) -> str:
        begun.append(1)
        answered.wait()
        return "at last"

    looker = Looker(settings(), {"slow": hang, "quick": lambda _: "fine"}, patience_s=0.05)
    for _ in range(2):
        slow, quick = looker.look()
        assert (HealthState.PROBLEM, "no answer within 0 s") == (slow.state, slow.detail)
        assert HealthState.OK == quick.state
    assert [1] == begun
    answered.set()
    looker._patience_s = 5.0
    slow, _ = looker.look()
    assert "at last" == slow.detail


def test_what_fails_in_a_new_way_is_told_without_secrets() -> None:
    def odd(_: Settings) -> str:
        raise RuntimeError("cannot log in with swordfish")

    (check,) = Looker(settings(), {"odd": odd}).look()
    assert (HealthState.PROBLEM, "RuntimeError: cannot log in with ***") == (check.state, check.detail)
    hook = replace(settings(), notify_webhook="https://hooks.example/swordfish")
    (check,) = Looker(hook, {"odd": lambda s: f"{s.notify_webhook}"}).look()
    assert "***" == check.detail
