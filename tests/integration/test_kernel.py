"""The panel in a real kernel, without a browser: what arrives, when, and in which cell."""

import json
import time
from contextlib import suppress
from queue import Empty

import nbformat
import pytest
from jupyter_client.manager import start_new_kernel
from nbclient import NotebookClient

STORY = """
from mltemporal.notebook.presenter import NotebookPresenter
from mltemporal.testing.scripted_job import ScriptedJob, life

presenter = NotebookPresenter()
get_ipython().events.register("post_run_cell", presenter.settle)
"""


@pytest.fixture
def kernel():
    manager, client = start_new_kernel(kernel_name="python3")
    yield client
    client.stop_channels()
    manager.shutdown_kernel(now=True)


def run(client, code):
    """Run a cell; returns its messages, each with the time of its arrival."""
    messages = []
    client.execute_interactive(
        code,
        timeout=30,
        output_hook=lambda message: messages.append((time.monotonic(), message)),
        store_history=False,
    )
    failed = [message["content"] for _, message in messages if message["msg_type"] == "error"]
    assert [] == failed
    return messages


def told(messages):
    """Returns the panel's own messages."""
    found = [
        (at, message["content"]["data"]["content"])
        for at, message in messages
        if message["msg_type"] == "comm_msg" and message["content"]["data"].get("method") == "custom"
    ]
    return [(at, content) for at, content in found if "seq" in content]


def of_type(messages, kind):
    return [message for _, message in messages if message["msg_type"] == kind]


def test_the_panel_moves_while_a_cell_blocks_and_misses_nothing(kernel):
    run(kernel, STORY)
    first = run(kernel, "job = ScriptedJob(life(8), beat_s=0.1); job.hold(); presenter.launched(job)")
    blocking = run(kernel, "job.go_on(); job.wait()")

    updates = told(first) + told(blocking)
    assert list(range(1, 11)) == [content["seq"] for _, content in updates]
    arrivals = [at for at, _ in told(blocking)]
    assert max(arrivals) - min(arrivals) > 0.3, "they came one by one, not at the end"


def test_the_output_holds_a_static_form_and_a_live_one_and_in_the_end_only_the_static(kernel):
    run(kernel, STORY)
    shown = run(kernel, "job = ScriptedJob(life(3), beat_s=0.05); presenter.launched(job)")
    waited = run(kernel, "job.wait(10)")

    static, live = of_type(shown, "display_data")
    assert {"text/html", "text/plain"} == set(static["content"]["data"])
    assert {"application/vnd.jupyter.widget-view+json", "text/plain"} == set(live["content"]["data"])
    updates = [message["content"] for message in of_type([*shown, *waited], "update_display_data")]
    last = {update["transient"]["display_id"]: update["data"] for update in updates}
    assert {} == last[live["content"]["transient"]["display_id"]]
    assert "r2: 0.5" in last[static["content"]["transient"]["display_id"]]["text/plain"]


def test_a_second_output_of_one_job_shares_its_panel(kernel):
    run(kernel, STORY)
    first = run(kernel, "job = ScriptedJob(life(50), beat_s=0.1); presenter.launched(job)")
    again = run(kernel, "presenter.show(job)")

    widget = "application/vnd.jupyter.widget-view+json"
    models = [
        m["content"]["data"][widget]["model_id"]
        for m in of_type([*first, *again], "display_data")
        if widget in m["content"]["data"]
    ]
    assert 2 == len(models)
    assert 1 == len(set(models))


def test_an_ended_job_is_shown_without_a_widget(kernel):
    run(kernel, STORY)

    shown = run(kernel, "ended = ScriptedJob(list(life(3))[-1:]); presenter.show(ended)")

    [message] = of_type(shown, "display_data")
    assert {"text/html", "text/plain"} == set(message["content"]["data"])


def test_a_button_pressed_while_a_cell_blocks_is_heard_at_once(kernel):
    """As JupyterLab does it: widget messages go to a subshell. The cell ends only when it was heard."""
    run(kernel, STORY)
    shown = run(kernel, "job = ScriptedJob(life(100_000), beat_s=0.1); presenter.launched(job)")
    [opened] = [m for m in of_type(shown, "comm_open") if "snapshot" in m["content"]["data"]["state"]]
    request = kernel.session.msg("create_subshell_request")
    kernel.control_channel.send(request)
    subshell = kernel.get_control_msg(timeout=10)["content"]["subshell_id"]

    blocked = kernel.execute("print('blocked', flush=True)\njob.wait()", store_history=False)
    wait_for(kernel, lambda message: message["content"].get("text", "").startswith("blocked"))
    press = kernel.session.msg(
        "comm_msg",
        {
            "comm_id": opened["content"]["comm_id"],
            "data": {"method": "custom", "content": {"t": "command", "name": "cancel"}},
        },
    )
    press["header"]["subshell_id"] = subshell
    kernel.shell_channel.send(press)

    wait_for(kernel, lambda message: "succeeded" == told_status(message))
    while kernel.get_shell_msg(timeout=10)["parent_header"].get("msg_id") != blocked:
        pass


def wait_for(client, wanted):
    """Returns when such a message has come."""
    deadline = time.monotonic() + 20
    while time.monotonic() < deadline:
        with suppress(Empty):
            if wanted(client.get_iopub_msg(timeout=1)):
                return
    raise AssertionError("it was not told")


def told_status(message):
    """Returns the status that a message tells the panel, if any."""
    content = message["content"].get("data", {}).get("content", {})
    return content.get("state", {}).get("status")


def test_a_notebook_that_is_executed_headless_keeps_the_final_picture_in_the_right_cell():
    cells = [
        f"{STORY}from mltemporal.notebook import live; live._SETTLE_S = 30",
        "job = ScriptedJob(life(5), beat_s=0.05)\npresenter.launched(job)",
        "print('between')",
        "while not job.done(): pass",
    ]
    notebook = nbformat.v4.new_notebook(cells=[nbformat.v4.new_code_cell(cell) for cell in cells])

    NotebookClient(notebook, timeout=60, kernel_name="python3").execute()

    nbformat.validate(notebook)
    static, live = notebook.cells[1].outputs
    assert "churn (job 7): succeeded" in static["data"]["text/plain"]
    assert "data:image/svg+xml" in static["data"]["text/html"]
    assert {} == live["data"]
    assert "widget-view" not in json.dumps([cell.outputs for cell in notebook.cells])
