"""The public names: what is listed, typed, loaded and documented agrees."""

import ast
import inspect
import subprocess
import sys
from pathlib import Path

import pytest

import mltemporal

SOURCE = Path(mltemporal.__file__)
HEAVY = ("pandas", "kubernetes", "sqlalchemy", "temporalio", "ipywidgets", "matplotlib", "pyarrow", "sklearn")
SURFACE = (
    *(
        "train",
        "preprocess",
        "predict",
        "monitor",
        "health",
        "job",
        "jobs",
        "history",
        "datasets",
        "models",
        "connect",
        "status",
        "shutdown",
    ),
    *("report", "track", "checkpoint", "log_artifact", "params", "should_stop", "nest", "Script", "steps"),
    *(
        "TrainingJob",
        "PreprocessingJob",
        "InferenceJob",
        "TrainingResult",
        "Dataset",
        "RunHistory",
        "MLTemporalError",
        "JobFailed",
        "JobCancelled",
    ),
)
"""What users were promised, and exists by now."""


def imported_for_types() -> dict[str, str]:
    """Return the names of the ``if TYPE_CHECKING:`` block and the modules that they come from."""
    block = next(
        node
        for node in ast.parse(SOURCE.read_text()).body
        if isinstance(node, ast.If) and ast.unparse(node.test) == "TYPE_CHECKING"
    )
    return {
        alias.asname or alias.name: node.module or ""
        for node in block.body
        if isinstance(node, ast.ImportFrom)
        for alias in node.names
    }


def test_the_public_names_are_sorted() -> None:
    assert sorted(mltemporal.__all__) == mltemporal.__all__
    assert dir(mltemporal) == mltemporal.__all__


def test_the_names_that_editors_see_are_those_that_are_loaded() -> None:
    assert {*imported_for_types(), "__version__"} == set(mltemporal.__all__)


def test_the_names_that_editors_see_come_from_where_they_are_loaded() -> None:
    loaded = {name: f"mltemporal.{module}" for name, module in mltemporal._HOME.items()}
    assert imported_for_types() == {**loaded, "checkpoint": "mltemporal.runtime", "steps": "mltemporal"}


@pytest.mark.parametrize("name", SURFACE)
def test_a_promised_name_is_there_and_documented(name: str) -> None:
    assert name in mltemporal.__all__
    assert inspect.getdoc(getattr(mltemporal, name))


@pytest.mark.parametrize(
    "name",
    [name for name in mltemporal.__all__ if inspect.isfunction(getattr(mltemporal, name))],
)
def test_the_arguments_of_a_verb_are_documented_and_typed(name: str) -> None:
    signature = inspect.signature(getattr(mltemporal, name))
    untyped = [p.name for p in signature.parameters.values() if p.annotation is p.empty]
    assert [] == untyped
    assert signature.return_annotation is not signature.empty


def test_the_call_that_users_know_by_heart_has_the_promised_arguments() -> None:
    promised = (
        "dataset trainer target params name tags backend image resources nodes packages env secrets "
        "retries timeout test_size seed force dry_run"
    )
    assert set(promised.split()) <= set(inspect.signature(mltemporal.train).parameters)


def test_a_handle_has_the_promised_words() -> None:
    promised = (
        "status progress url done wait result __await__ cancel pause resume retry rewind checkpoint_now "
        "stop_early extend set logs metrics history "
        "plot timeline artifacts"
    )
    for kind in (mltemporal.TrainingJob, mltemporal.PreprocessingJob, mltemporal.InferenceJob):
        assert [] == [name for name in promised.split() if not hasattr(kind, name)]
    assert hasattr(mltemporal.TrainingJob, "model")
    assert hasattr(mltemporal.TrainingJob, "predict")


def test_no_module_bears_the_name_of_a_verb() -> None:
    modules = {path.stem for path in SOURCE.parent.iterdir() if path.suffix == ".py" or path.is_dir()}
    packages_of_their_own = {"checkpoint", "steps"}  # modules by intention
    assert set() == (set(mltemporal.__all__) & modules) - packages_of_their_own


def test_an_unknown_name_is_an_attribute_error() -> None:
    with pytest.raises(AttributeError) as caught:
        mltemporal.trian  # noqa: B018
    assert "module 'mltemporal' has no attribute 'trian'" == str(caught.value)


def test_importing_loads_nothing_heavy() -> None:
    program = f"import mltemporal\nimport sys\nprint(sorted(set({HEAVY!r}) & set(sys.modules)))"
    result = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert "[]\n" == result.stdout
