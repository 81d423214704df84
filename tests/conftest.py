"""What holds for every test."""

import os
import shutil
import tempfile

import pytest

from mltemporal import stack
from mltemporal.settings import load_settings

pytest_plugins = ["services.postgres", "services.s3"]

ALLOWED = ("root may read everything",)
"""Reasons for a skip that also hold in CI."""


def pytest_configure(config):
    """No test, and no notebook, touches the home of whoever runs them."""
    os.environ["MLTEMPORAL_HOME"] = tempfile.mkdtemp(prefix="mltemporal-tests-")
    os.environ["MLTEMPORAL_TEMPORAL"] = "embedded"


def pytest_collection_modifyitems(items):
    """The long ones come first: the short ones fill what is left of the workers' time."""
    items.sort(key=lambda item: (item.path.suffix != ".ipynb", "unit" in item.path.parts))


def pytest_unconfigure(config):
    """Stop what the notebooks started."""
    settings = load_settings()
    stack.down(settings)
    shutil.rmtree(settings.home)


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item, call):
    """In CI nothing is skipped in silence: a missing service is a failure there."""
    report = yield
    if report.skipped and os.environ.get("CI") == "true" and not hasattr(report, "wasxfail"):
        reason = report.longrepr[2] if isinstance(report.longrepr, tuple) else str(report.longrepr)
        if not any(allowed in reason for allowed in ALLOWED):
            report.outcome = "failed"
            report.longrepr = f"skipped in CI: {reason}"
    return report
