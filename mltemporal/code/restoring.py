"""Captured code back to objects, in the job."""

from __future__ import annotations

from typing import Any

import msgspec

from mltemporal.code.versions import check_versions
from mltemporal.errors import InvalidTrainer
from mltemporal.specs.request import TrainerRef
from mltemporal.storage.content import Storage


def restore(ref: TrainerRef, storage: Storage) -> Any:
    """Return what trains, by ``ref.kind``.

    ``baseline``: its parameters, a dict. ``estimator``: the unfitted estimator. ``function``: the
    pair ``(function, params)``. ``script``: its text as bytes (run it under ``ref.path``).
    Modules of the user's that the code imports come along and are put into ``sys.modules``.

    Raises:
        VersionMismatch: Python or a package differs from the launching kernel's; nothing was unpickled.
        InvalidTrainer: the code does not load here; gives the reason.
        NotFound: the code is not in ``storage``.
        CorruptObject: the stored bytes are not the ones that were stored.
    """
    if ref.code is None:
        return {}
    check_versions(ref.versions)
    data = storage.get_bytes(ref.code)
    if ref.kind == "script":
        return data
    if ref.kind == "baseline":
        return msgspec.json.decode(data)
    import cloudpickle

    from mltemporal.code.shipping import installing_modules

    try:
        with installing_modules():
            return cloudpickle.loads(data)
    except (ImportError, AttributeError) as error:
        raise InvalidTrainer(
            f"{ref.label} needs what is not installed here: {error}",
            "install it where the job runs, or keep the module in the notebook's folder: then it comes along",
        ) from error
