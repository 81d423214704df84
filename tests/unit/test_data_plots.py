"""Figures of profiles, of drift and of where a dataset came from."""

import pytest

from mltemporal.plots.drift import plot_drift
from mltemporal.plots.lineage import LineageEdge, LineageNode, plot_lineage
from mltemporal.plots.profile import plot_profile
from mltemporal.profiling.drift import ColumnDrift, Drift
from mltemporal.profiling.profiles import ColumnProfile, Histogram, Profile, Top


def titles(figure):
    return [ax.get_title(loc="left") for ax in figure.axes]


def texts(figure):
    return [text.get_text() for text in figure.axes[0].texts]


def column(name, kind="number", **facts):
    return ColumnProfile(name=name, type="", kind=kind, nulls=5, **facts)


HISTOGRAM = Histogram(low=0.0, high=1e9, counts=(1, 2, 3))
PROFILE = Profile(
    rows=50,
    duplicates=0,
    target="$y$",
    columns=(
        column("$y$", "text", top=(Top(value="$a_b$", count=9), Top(value="b", count=1))),
        column("n", histogram=HISTOGRAM),
        column("when", "timestamp", histogram=HISTOGRAM),
        column("one", histogram=Histogram(low=1.0, high=1.0, counts=(50,))),
        column("nothing", "other"),
    ),
)


def test_a_profile_has_a_chart_for_each_column_with_something_to_draw():
    figure = PROFILE.plot()

    assert ["$y$ (target)  10 % missing", "n  10 % missing", "when  10 % missing"] == titles(figure)
    assert "50 rows; not drawn: 2 of 5 columns" == figure.get_suptitle()
    assert figure._repr_png_().startswith(b"\x89PNG")


def test_a_profile_of_many_columns_has_24_charts():
    columns = tuple(column(f"c{i}", histogram=HISTOGRAM) for i in range(30))
    assert 24 == len(plot_profile(Profile(rows=9, duplicates=0, columns=columns)).axes)


def test_a_profile_without_values_says_so():
    assert plot_profile(Profile(rows=0, duplicates=0, columns=()))._repr_png_().startswith(b"\x89PNG")


def moved(name, **facts):
    common = {"psi": 0.5, "test": "", "statistic": 0.0, "p_value": 0.0, "distance": 0.2, "words": ""}
    return ColumnDrift(name=name, nulls_before=0.0, moved=True, **{"nulls_after": 0.0, **common, **facts})


def test_drift_has_a_chart_for_each_column_that_moved():
    bars = {"before": (0.5, 0.5), "after": (0.9, 0.1)}
    drift = Drift(
        rows_before=9,
        rows_after=9,
        columns=(
            moved("city", kind="text", labels=("a", "$b$"), **bars),
            moved("n", kind="number", edges=(0.0, 1.0, 2.0), **bars),
            moved("when", kind="date", edges=(0.0, 1e8, 2e8), nulls_after=0.25, **bars),
        ),
    )

    figure = drift.plot()

    assert [
        "city  (stability index 0.50)",
        "n  (stability index 0.50)",
        "when  (missing: 0 % → 25 %)",
    ] == titles(figure)
    assert figure._repr_png_().startswith(b"\x89PNG")


def test_drift_without_moves_says_so():
    assert plot_drift(Drift(rows_before=1, rows_after=1, columns=()))._repr_png_().startswith(b"\x89PNG")


def lefts(figure):
    return {patch.get_x() for patch in figure.axes[0].patches if hasattr(patch, "get_x")}


def test_lineage_runs_from_left_to_right_with_the_steps_on_the_arrows():
    nodes = [
        LineageNode(id="c", label="train", rows=25_600),
        LineageNode(id="b", label="clean " * 20, rows=32_000, depth=1),
        LineageNode(id="a", label="raw.csv", depth=2),
    ]
    edges = [
        LineageEdge(source="a", target="b", label="job 12\ndrop missing\n" + "a long step " * 60),
        LineageEdge(source="b", target="c", label="job 13\nscale"),
        LineageEdge(source="unknown", target="c"),
    ]

    figure = plot_lineage(nodes, edges)

    assert {"train", "25,600 rows", "raw.csv", "rows not counted", "job 13\nscale"} <= set(texts(figure))
    assert "clean clean clean clean…" in texts(figure)
    (steps,) = (text for text in texts(figure) if text.startswith("job 12\ndrop missing\n"))
    assert steps.endswith("more lines")
    assert 3 == len(lefts(figure))
    assert figure._repr_png_().startswith(b"\x89PNG")


def test_a_dataset_stands_right_of_all_it_was_made_from_whatever_the_depths_say():
    nodes = [LineageNode(id=name, label=name, depth=depth) for name, depth in (("a", 1), ("b", 1), ("c", 0))]
    edges = [
        LineageEdge(source=source, target=target) for source, target in (("a", "b"), ("b", "c"), ("a", "c"))
    ]
    assert 3 == len(lefts(plot_lineage(nodes, edges)))


@pytest.mark.parametrize(
    ("nodes", "edges"),
    [
        ([], []),
        ([LineageNode(id="a", label="$a^$")], []),
        (
            [LineageNode(id="a", label="a"), LineageNode(id="b", label="b")],
            [LineageEdge(source="a", target="b"), LineageEdge(source="b", target="a", label="circle")],
        ),
        ([LineageNode(id="a", label="a")], [LineageEdge(source="a", target="a", label="itself")]),
    ],
)
def test_odd_lineages_still_make_a_picture(nodes, edges):
    assert plot_lineage(nodes, edges)._repr_png_().startswith(b"\x89PNG")
