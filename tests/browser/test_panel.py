"""The panel in front of a person: JupyterLab in a browser, a scripted job behind it."""

import pytest

pytestmark = [pytest.mark.browser, pytest.mark.timeout(180)]

LAUNCH = """
from mltemporal.notebook.presenter import NotebookPresenter
from mltemporal.specs.running import JobStatus
from mltemporal.testing.scripted_job import ScriptedJob, life
presenter = NotebookPresenter()
job = ScriptedJob(life({steps}, {more}), beat_s=0.1)
presenter.launched(job)
"""


END = "job.command_soon('cancel')  # the scripted job goes to its last view"
END_LATER = """
import threading
def end():
    {wait}
    {end}
threading.Thread(target=end, daemon=True).start()
"""


def launch(steps, more=""):
    return LAUNCH.format(steps=steps, more=more)


@pytest.fixture
def gate(tmp_path):
    """A file that `blocked_by` waits for."""
    return tmp_path / "open"


def blocked_by(gate):
    return f"import pathlib, time\nwhile not pathlib.Path({str(gate)!r}).exists(): time.sleep(0.05)"


def ended_by(gate):
    """The job ends, and the kernel is free until then."""
    wait = blocked_by(gate).replace("\n", "\n    ")
    return END_LATER.format(wait=wait, end=END)


def shown(page, selector):
    return page.locator(selector).filter(visible=True).count()


def test_the_panel_moves_while_a_later_cell_blocks_and_ends_as_lasting_html(open_notebook, gate):
    lab = open_notebook(launch(1000), blocked_by(gate), END)
    page = lab.page

    lab.run_all()

    page.wait_for_selector(".mlt[data-status=running] .mlt-chart canvas")
    assert 0 == shown(page, ".mltemporal-job"), "the static form is hidden behind the live one"
    before = page.inner_text(".mlt-done")
    page.wait_for_function(
        "(before) => document.querySelector('.mlt-done').textContent !== before", arg=before
    )
    assert "[*]:" in page.inner_text(".jp-Notebook"), "the later cell still blocks"
    gate.touch()
    page.wait_for_selector(".mltemporal-job:has-text('succeeded')")
    page.wait_for_selector(".mlt", state="detached")
    static, live = lab.save().cells[0].outputs
    assert {} == live.data
    assert "r2: 0.5" in static.data["text/plain"]
    assert [] == lab.errors


def test_cancel_is_heard_while_a_cell_blocks(open_notebook, gate):
    lab = open_notebook(launch(1000, "end=JobStatus.CANCELLED"), blocked_by(gate))
    page = lab.page
    lab.run_all()
    page.wait_for_selector(".mlt[data-status=running]")

    # In one step: the cancelled job may take its panel away before a second look.
    said = page.eval_on_selector(
        ".mlt-button[data-command=cancel]", "(button) => { button.click(); return button.textContent; }"
    )

    assert "cancelling …" == said
    page.wait_for_selector(".mltemporal-job:has-text('cancelled')")
    assert "[*]:" in page.inner_text(".jp-Notebook"), "the later cell still blocks"


def test_a_reloaded_page_shows_the_job_with_all_its_points(open_notebook, gate):
    lab = open_notebook(launch(1000) + ended_by(gate))
    page = lab.page
    lab.run_all()
    page.wait_for_selector(".mlt[data-status=running] .mlt-chart")
    lab.save()

    page.reload()

    page.wait_for_selector(".mlt[data-status=running] .mlt-chart")
    gate.touch()
    page.wait_for_selector(".mlt[data-status=succeeded]")
    assert "0.5" == page.inner_text(".mlt-metrics td")
    canvas = page.locator(".mlt-chart .u-over").first
    canvas.hover(position={"x": 1, "y": 20})
    assert "train_loss 1\nvalid_loss 1.2\nstep 1" == page.inner_text(".mlt-legend"), (
        "the first point is there"
    )


def test_after_a_kernel_restart_the_saved_notebook_shows_the_static_form_alone(open_notebook):
    lab = open_notebook(launch(1000))
    page = lab.page
    lab.run_all()
    page.wait_for_selector(".mlt[data-status=running] .mlt-chart")

    lab.restart_kernel()

    page.wait_for_selector(".mlt-message:has-text('mltemporal.job(7) follows it')")
    assert 0 == shown(page, ".mlt-button")
    lab.save()
    page.reload()
    page.wait_for_selector(".mltemporal-job:has-text('when this was saved')")
    page.wait_for_selector("text=model not found", state="attached")
    assert 0 == shown(page, ".jp-OutputArea-child:has-text('model not found')")


def test_nothing_from_a_job_runs_as_script(open_notebook, gate):
    name = """name='<img src=x onerror="window.hacked=1">'"""
    lab = open_notebook(launch(1000, name) + ended_by(gate))
    page = lab.page
    lab.run_all()

    page.wait_for_selector(".mlt-name:has-text('onerror')")
    gate.touch()
    page.wait_for_selector(".mltemporal-job:has-text('onerror')")

    assert page.evaluate("window.hacked === undefined")


@pytest.mark.parametrize("theme", ["JupyterLab Light", "JupyterLab Dark"])
def test_the_panel_is_legible_in_both_themes(open_notebook, theme):
    lab = open_notebook(launch(1000))
    page = lab.page
    lab.command("apputils:change-theme", {"theme": theme})
    lab.run_all()
    page.wait_for_selector(".mlt[data-status=running] .mlt-chart")
    page.wait_for_function("(theme) => document.body.dataset.jpThemeName === theme", arg=theme)

    brightness = page.evaluate(
        """() => {
            const style = getComputedStyle(document.querySelector('.mlt'));
            const of = (name) => style[name].match(/\\d+/g).slice(0, 3);
            const mean = (rgb) => rgb.reduce((sum, part) => sum + Number(part), 0) / 3;
            return [mean(of('color')), mean(of('backgroundColor'))];
        }"""
    )

    assert abs(brightness[0] - brightness[1]) > 120
