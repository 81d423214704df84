"""A real JupyterLab on a free port with directories of its own, and a headless Chromium in front of it."""

import json
import os
import re
import shutil
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request

import nbformat
import pytest

FLAGS = [
    "--headless",
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
]
METADATA = {
    "kernelspec": {"name": "python3", "display_name": "Python 3 (ipykernel)", "language": "python"},
    "language_info": {"name": "python"},
}
CURRENT = "window.jupyterapp?.shell?.currentWidget"


@pytest.fixture(scope="module")  # Playwright's own event loop must not outlast these tests
def chromium():
    sync_api = pytest.importorskip("playwright.sync_api")
    path = shutil.which("chromium")
    if path is None:
        pytest.skip("needs chromium")
    with sync_api.sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=path, args=FLAGS)
        yield browser
        browser.close()


@pytest.fixture(scope="session")
def lab(tmp_path_factory):
    """Starts JupyterLab; gives (address, folder of the notebooks)."""
    pytest.importorskip("jupyterlab")
    base = tmp_path_factory.mktemp("lab")
    notebooks, config = base / "notebooks", base / "config"
    notebooks.mkdir()
    (config / "labconfig").mkdir(parents=True)
    quiet = {"@jupyterlab/apputils-extension:notification": {"fetchNews": "false", "checkForUpdates": False}}
    (config / "labconfig" / "default_setting_overrides.json").write_text(json.dumps(quiet))
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    places = {"CONFIG_DIR": config, "DATA_DIR": base / "data", "RUNTIME_DIR": base / "run"}
    environment = {
        **os.environ,
        **{f"JUPYTER_{name}": str(place) for name, place in places.items()},
        "JUPYTERLAB_SETTINGS_DIR": str(base / "settings"),
        "JUPYTERLAB_WORKSPACES_DIR": str(base / "workspaces"),
        "IPYTHONDIR": str(base / "ipython"),
    }
    command = [sys.executable, "-m", "jupyterlab", "--allow-root", "--no-browser", "--expose-app-in-browser"]
    command += [
        f"--port={port}",
        "--port-retries=0",
        "--IdentityProvider.token=t",
        f"--ServerApp.root_dir={notebooks}",
    ]
    with (base / "log").open("w") as log:
        server = subprocess.Popen(command, env=environment, stdout=log, stderr=subprocess.STDOUT)
    address = f"http://127.0.0.1:{port}"
    try:
        wait_until_up(server, address, base / "log")
        yield address, notebooks
    finally:
        server.terminate()
        server.wait(20)


def wait_until_up(server, address, log):
    deadline = time.monotonic() + 60
    while time.monotonic() < deadline and server.poll() is None:
        try:
            urllib.request.urlopen(f"{address}/api/status?token=t", timeout=5).close()
        except (urllib.error.URLError, OSError):
            time.sleep(0.1)
        else:
            return
    raise AssertionError(f"JupyterLab is not up: {log.read_text()[-2000:]}")


class LabPage:
    """One notebook in the browser."""

    def __init__(self, browser, address, path):
        self.path = path
        self.page = browser.new_page(viewport={"width": 1200, "height": 1000})
        self.page.set_default_timeout(30_000)
        self.errors = []
        self.page.on("pageerror", lambda error: self.errors.append(str(error)))
        self.page.goto(f"{address}/lab/workspaces/{path.stem}/tree/{path.name}?token=t")
        self.wait_for_kernel()

    def wait_for_kernel(self):
        self.page.wait_for_function(f"{CURRENT}?.sessionContext?.session?.kernel?.status === 'idle'")
        self.page.evaluate(f"{CURRENT}.sessionContext.ready")

    def command(self, name, args=None):
        # not awaited: some commands end only when all cells have
        self.page.evaluate(
            "([name, args]) => void window.jupyterapp.commands.execute(name, args)", [name, args or {}]
        )

    def run_all(self):
        self.command("notebook:run-all-cells")

    def restart_kernel(self):
        self.page.evaluate(f"{CURRENT}.sessionContext.session.kernel.restart()")

    def save(self):
        """Saves, and returns the notebook as it is on the disk."""
        self.page.evaluate(f"{CURRENT}.context.save()")
        return nbformat.read(self.path, as_version=4)


@pytest.fixture
def open_notebook(chromium, lab, request):
    """Returns a function that writes a notebook of the given cells and opens it."""
    address, folder = lab
    opened = []

    def open_cells(*cells):
        path = folder / (re.sub(r"\W+", "-", request.node.name) + ".ipynb")
        notebook = nbformat.v4.new_notebook(
            cells=[nbformat.v4.new_code_cell(c) for c in cells], metadata=METADATA
        )
        nbformat.write(notebook, path)
        opened.append(LabPage(chromium, address, path))
        return opened[-1]

    yield open_cells
    for lab_page in opened:
        if pictures := os.environ.get("MLTEMPORAL_SCREENSHOTS"):
            lab_page.page.screenshot(path=f"{pictures}/{lab_page.path.stem}.png")
        lab_page.page.close()
