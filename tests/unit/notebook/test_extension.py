"""The extension, the magics and completion in a real shell; what they call is replaced at the edge."""

import os
import threading

import pytest
from IPython.core.completer import provisionalcompleter

import mltemporal
from mltemporal import api, handles, stack
from mltemporal.errors import StackError
from mltemporal.notebook import extension
from mltemporal.stack import StackState
from mltemporal.stack.process import ProcessId


@pytest.fixture
def shell(monkeypatch, plain_shell):
    state = StackState(
        home="home",
        supervisor=ProcessId.of(os.getpid()),
        version="1",
        python="python",
        host="host",
        started_at=0.0,
        temporal_address="127.0.0.1:7233",
        web_ui="http://127.0.0.1:8233",
    )
    monkeypatch.setitem(vars(stack), "up", lambda settings, tell: state)
    yield plain_shell
    extension.unload(plain_shell)


def test_loading_brings_the_verbs_hidden_from_who(shell, capsys):
    extension.load(shell)

    assert mltemporal.train is shell.user_ns["train"]
    assert "train" in shell.user_ns_hidden
    assert "Web UI http://127.0.0.1:8233" in capsys.readouterr().out


def test_a_users_own_name_stays_and_ours_is_told(shell, capsys):
    shell.user_ns["train"] = "mine"

    extension.load(shell)
    extension.unload(shell)

    assert "'train' is a name of yours and stays so; ours is mltemporal.train" in capsys.readouterr().out
    assert "mine" == shell.user_ns["train"]


def test_loading_twice_only_says_so(shell, capsys):
    extension.load(shell)
    capsys.readouterr()

    extension.load(shell)

    assert (
        "mltemporal is loaded already; %reload_ext mltemporal brings its names back.\n"
        == capsys.readouterr().out
    )


def test_unloading_leaves_nothing(shell):
    before = set(shell.user_ns), len(shell.Completer.custom_matchers)

    extension.load(shell)
    extension.unload(shell)
    extension.unload(shell)

    assert before == (set(shell.user_ns), len(shell.Completer.custom_matchers))
    assert None is shell.find_line_magic("mltemporal")
    assert None is handles.presenter()


def test_a_stack_that_cannot_start_is_told_and_loading_goes_on(shell, capsys, monkeypatch):
    def fail(settings, tell):
        raise StackError("no disk", "make room")

    monkeypatch.setitem(vars(stack), "up", fail)

    extension.load(shell)

    assert "the services did not start: no disk\nNext step: make room" in capsys.readouterr().out
    assert "train" in shell.user_ns


def test_services_that_newer_code_took_over_are_told_of_however_long_that_takes(shell, capsys, monkeypatch):
    up = vars(stack)["up"]

    def take_over(settings, tell):
        waited.wait(10)
        tell("mltemporal 0.2.0 took over from 0.1.0; 3 running jobs go on.")
        return up(settings, tell)

    waited = threading.Event()
    monkeypatch.setattr(extension, "START_WAIT_S", 0.0)
    monkeypatch.setitem(vars(stack), "up", take_over)
    monkeypatch.setitem(
        vars(stack), "state", lambda settings: up(settings, None)
    )  # of version 1: is it older?
    monkeypatch.setattr("mltemporal.stack.succession.is_older", lambda running: waited.set() or True)

    extension.load(shell)

    assert "0.2.0 took over from 0.1.0; 3 running jobs go on.\n" in capsys.readouterr().out


def test_the_train_magic_hands_its_arguments_on(shell, monkeypatch):
    calls = []
    monkeypatch.setattr(api, "train", lambda *args, **kwargs: calls.append((args, kwargs)) or "handle")
    extension.load(shell)
    shell.user_ns["frame"] = [1, 2]

    line = "frame[1:] --target y --name demo --params depth=3 kind=auto --force --as handle"
    shell.run_cell_magic("train", line, "(data, depth, kind)")

    [((dataset, fit), given)] = calls
    assert [2] == dataset
    assert ([2], 3, "auto") == fit(dataset, **given["params"])
    assert {"params": {"depth": 3, "kind": "auto"}, "force": True, "target": "y", "name": "demo"} == given
    assert "handle" == shell.user_ns["handle"]


def test_a_dataset_that_is_no_expression_is_a_path_or_a_name(shell, monkeypatch):
    datasets = []
    monkeypatch.setattr(api, "train", lambda dataset, *_, **__: datasets.append(dataset))
    extension.load(shell)

    for line in ("data/iris.parquet", "iris", "'quoted.csv'"):
        shell.run_cell_magic("train", line, "data")

    assert ["data/iris.parquet", "iris", "quoted.csv"] == datasets


def test_an_unknown_command_is_refused(shell, capsys):
    extension.load(shell)

    shell.run_cell("%mltemporal restart")

    assert "%mltemporal knows status, up, down, doctor, versions, not 'restart'" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("%mltemporal st", {"status"}),
        ("%mltemporal ", {"status", "up", "down", "doctor", "versions"}),
        ("%%train frame --ta", {"--target"}),
        (
            "%%train frame --target y --",
            {"--target", "--name", "--params", "--backend", "--timeout", "--force", "--as"},
        ),
    ],
)
def test_tab_completes_commands_and_options(shell, text, expected):
    extension.load(shell)
    shell.Completer.use_jedi = False

    with provisionalcompleter():
        completions = list(shell.Completer.completions(text, len(text)))

    completed = {text[: completion.start] + completion.text for completion in completions}
    assert expected <= {whole.rsplit(" ", 1)[1] for whole in completed}


def test_the_original_nest_asyncio_is_warned_about_once(shell, monkeypatch):
    monkeypatch.setattr("mltemporal.notebook.nest.warning_for_original", lambda: "it hangs")
    extension.load(shell)

    with pytest.warns(RuntimeWarning, match="it hangs"):
        shell.events.trigger("post_run_cell", None)
    shell.events.trigger("post_run_cell", None)
