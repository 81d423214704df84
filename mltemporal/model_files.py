"""Fitted models, and other objects of a job, in storage: skops where that loads safely, else cloudpickle.

A skops file is loaded without running code of its maker: only types of scikit-learn's and of ours
are built. A cloudpickled model runs code when it is loaded. It is loaded all the same, because its
hash was recorded when the job that made it ended: what is loaded is what that job stored, and whoever
may write the job's record could as well have written the job.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

from mltemporal.code.shipping import by_value
from mltemporal.code.versions import check_versions, versions_of_model
from mltemporal.errors import CorruptObject, InvalidRequest, InvalidTrainer
from mltemporal.specs.data import ModelRef, ObjectRef
from mltemporal.specs.encoding import decode
from mltemporal.storage.content import Storage

TRUSTED_TYPES = (
    "functools.partial",
    "mltemporal.encoder.TableEncoder",
    "sklearn.ensemble._hist_gradient_boosting.predictor.TreePredictor",
    "sklearn.utils.validation.check_array",
)
"""Types that a model of the baseline consists of and that skops does not trust by itself."""


def save_model(
    model: Any,
    storage: Storage,
    *,
    label: str,
    task: str | None,
    target: str | None,
    features: tuple[str, ...],
) -> ModelRef:
    """Store a fitted model and return what it takes to use it again.

    Raises:
        InvalidTrainer: the model holds something that cannot be stored.
        ServiceUnavailable: storage does not answer or is full.
    """
    stored = _store_safely(model, storage) or store_pickled(
        model,
        storage,
        what=f"the fitted {type(model).__name__}",
        instead="let it hold no open file, lock or connection, or return what can be stored",
    )
    versions = versions_of_model(pickled=stored.format != "skops")
    return ModelRef(
        object=stored, label=label, task=task, target=target, features=features, versions=versions
    )


def save_model_file(path: Path, storage: Storage) -> ModelRef:
    """Store a model that is a file already, see `check_model_file`. It is not loaded here. Idempotent."""
    return ModelRef(object=storage.put_file(path, format=_FILE_FORMATS[path.suffix]), label=path.name)


def check_model_file(path: Path) -> Path:
    """Return ``path`` where its name is that of a model file.

    Raises:
        InvalidRequest: it ends neither in ``.skops`` nor ``.joblib``, ``.pkl`` or ``.pickle``, or is no file.
    """
    if path.suffix not in _FILE_FORMATS or not path.is_file():
        raise InvalidRequest(
            f"{str(path)!r} is no model file", f"pass a file that ends in {', '.join(_FILE_FORMATS)}"
        )
    return path


_FILE_FORMATS = {".skops": "skops", ".joblib": "joblib", ".pkl": "cloudpickle", ".pickle": "cloudpickle"}


def load_model(ref: ModelRef, storage: Storage, *, trust: bool = False) -> Any:
    """Return the fitted model, its bytes verified first.

    Args:
        trust: load a skops file that needs other types than scikit-learn's and ours. See the
            module's docstring for cloudpickled models.

    Raises:
        InvalidRequest: the file needs types that are not trusted; lists them.
        NotFound: the model is not in storage.
        CorruptObject: the stored bytes are not the ones that the job stored.
        VersionMismatch: it was made with another Python or scikit-learn than is here.
    """
    check_versions(ref.versions, f"the model {ref.label!r} was made")
    if ref.object.format == "joblib":
        import joblib

        with storage.local_path(ref.object) as path:
            return joblib.load(path)
    if ref.object.format != "skops":
        with storage.local_path(ref.object) as path:
            return _unpickled(path)
    import skops.io

    with storage.local_path(ref.object) as path:
        try:
            foreign = sorted(set(skops.io.get_untrusted_types(file=path)) - set(TRUSTED_TYPES))
        except Exception as error:  # a damaged archive fails in any of a dozen ways
            raise _damaged(ref, error) from error
        if foreign and not trust:
            raise InvalidRequest(
                f"the model {ref.label!r} holds types that are not known to be safe: {', '.join(foreign)}",
                "if you know where it comes from, load it with trust=True",
            )
        try:
            return skops.io.load(path, trusted=[*TRUSTED_TYPES, *foreign])
        except Exception as error:  # as above
            raise _damaged(ref, error) from error


def _damaged(ref: ModelRef, error: Exception) -> CorruptObject:
    """Say that a file which is what was stored cannot be read: it was damaged before that."""
    return CorruptObject(
        f"the model {ref.label!r} cannot be read: {type(error).__name__}: {error}",
        "save it anew, by the versions of scikit-learn and skops that are used here",
    )


def load_object(ref: ObjectRef, storage: Storage) -> Any:
    """Return what a job stored, by its format: a DataFrame, an object, text, or bytes; verified first.

    What was pickled is unpickled for the reason in the module's docstring.

    Raises:
        NotFound: the object is not in storage.
        CorruptObject: the stored bytes are not the ones that the job stored.
    """
    if ref.format == "text":
        return storage.get_bytes(ref).decode(errors="replace")
    if ref.format == "json":
        return decode(storage.get_bytes(ref), object)
    if ref.format not in ("parquet", "cloudpickle"):
        return storage.get_bytes(ref)
    with storage.local_path(ref) as path:
        if ref.format == "parquet":
            import pandas

            return pandas.read_parquet(path)
        return _unpickled(path)


def _unpickled(path: Path) -> Any:
    import pickle

    with path.open("rb") as file:
        return pickle.load(file)  # noqa: S301 - verified; see the module's docstring


def _store_safely(model: Any, storage: Storage) -> ObjectRef | None:
    """Store by skops; None where the result could not be loaded without trusting more types."""
    if type(model).__module__.split(".")[0] != "sklearn":
        return None  # and skops takes a second to import
    import skops.io

    try:
        data = skops.io.dumps(model)
        if set(skops.io.get_untrusted_types(data=data)) - set(TRUSTED_TYPES):
            return None
        skops.io.loads(data, trusted=list(TRUSTED_TYPES))
    except Exception:
        return None
    return storage.put_bytes(data, format="skops")


def store_pickled(value: Any, storage: Storage, *, what: str, instead: str) -> ObjectRef:
    """Store ``value`` by cloudpickle; ``what`` names it and ``instead`` advises, where that cannot be.

    Raises:
        InvalidTrainer: it cannot be pickled.
    """
    import pickle

    import cloudpickle

    try:
        with (
            storage.writing(format="cloudpickle") as written,
            written.path.open("wb") as file,
            by_value(),  # what a class of the user's own module needs must be there wherever it is loaded
        ):
            cloudpickle.dump(value, file)
    except (TypeError, AttributeError, pickle.PicklingError) as error:
        raise InvalidTrainer(f"{what} cannot be stored: {error}", instead) from error
    return written.ref
