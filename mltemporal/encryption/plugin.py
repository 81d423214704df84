"""Encryption for a client and whatever is made with it: its workers, and replayers that are given it."""

from __future__ import annotations

from temporalio.converter import DataConverter
from temporalio.plugin import SimplePlugin
from temporalio.worker import WorkflowRunner
from temporalio.worker.workflow_sandbox import SandboxedWorkflowRunner

from mltemporal.encryption.converter import converter_with
from mltemporal.encryption.gate import GatedRunner
from mltemporal.encryption.keyring import Keyring, home_keyring, read_keyring
from mltemporal.encryption.starts import SealedStarts
from mltemporal.encryption.tasks import SealedTasks
from mltemporal.errors import InvalidRequest
from mltemporal.settings import Settings


def keyring_of(settings: Settings) -> Keyring | None:
    """Return the keys in use; None where nothing is encrypted.

    The embedded services have a keyring in the home, made on first use; a configured Temporal has
    the one that the settings name.

    Raises:
        InvalidRequest: the keyring is not there, not private or cannot be read.
    """
    path = settings.keys_file
    if path is None:
        return None
    if not settings.encryption_keys:
        return home_keyring(path)
    try:
        return read_keyring(path)
    except FileNotFoundError as error:
        raise InvalidRequest(
            f"there are no keys in {str(path)!r}, which MLTEMPORAL_ENCRYPTION_KEYS names",
            "run `mltemporal keys create` once, and give the file to everybody who shares this Temporal",
        ) from error


def data_converter(settings: Settings) -> DataConverter:
    """Return how values are converted for Temporal: with encryption where there are keys.

    Raises:
        InvalidRequest: as `keyring_of`.
    """
    keyring = keyring_of(settings)
    if keyring is None:
        return DataConverter.default
    return converter_with(keyring, may_lag=settings.temporal_configured)


def plugin(settings: Settings) -> SimplePlugin | None:
    """Return what a client is connected with; None where nothing is encrypted.

    Raises:
        InvalidRequest: as `keyring_of`.
    """
    keyring = keyring_of(settings)
    return None if keyring is None else plugin_with(keyring, may_lag=settings.temporal_configured)


def plugin_with(keyring: Keyring, *, may_lag: bool = False) -> SimplePlugin:
    """Return the plugin with these keys."""
    return SimplePlugin(
        "mltemporal-encryption",
        data_converter=converter_with(keyring, may_lag=may_lag),
        interceptors=[SealedStarts(), SealedTasks()],
        workflow_runner=_gated,
    )


def _gated(runner: WorkflowRunner | None) -> WorkflowRunner:
    return GatedRunner(runner or SandboxedWorkflowRunner())
