"""Profiles and drift as HTML and text: complete, small, and harmless whatever the data say."""

import base64
import re

from mltemporal.profiling.drift import ColumnDrift, Drift
from mltemporal.profiling.profiles import ColumnProfile, Histogram, Profile, Top

EVIL = "<script>alert(1)</script>\x1b[31m\x00"


def a_profile(columns=3, **more):
    made = [
        ColumnProfile(
            name=f"n{i}",
            type="double",
            kind="number",
            nulls=25,
            distinct=9,
            minimum=-1.5,
            maximum=1000.0,
            quantiles=(1.0, 2.0, 3.0, 4.0, 5.0),
            histogram=Histogram(low=0, high=1, counts=(1, 2, 3)),
        )
        for i in range(columns)
    ]
    return Profile(rows=100, duplicates=0, columns=tuple(made), sampled=100, **more)


def text_column(name, *top, **facts):
    return ColumnProfile(name=name, type="string", kind="text", nulls=0, top=tuple(top), **facts)


def images(page):
    return [base64.b64decode(data).decode() for data in re.findall(r"image/svg\+xml;base64,([^\"]+)", page)]


def test_a_column_is_a_row_with_its_picture():
    page = a_profile()._repr_html_()

    assert 3 == len(images(page))
    assert 'fill="#ffffff"' in images(page)[0]
    assert "25\u00a0%" in page
    assert "-1.5 … 1000, median 3" in page


def test_warnings_stand_on_top():
    page = a_profile(warnings=("look here",))._repr_html_()
    assert page.index("look here") < page.index("n0")


def test_what_comes_from_data_is_escaped_and_cleaned():
    profile = Profile(
        rows=3,
        duplicates=0,
        columns=(text_column(EVIL, Top(value=EVIL, count=2), Top(value="b", count=1), distinct=2),),
        warnings=(EVIL,),
    )

    shown = profile._repr_html_() + "".join(images(profile._repr_html_()))

    assert "<script" not in shown
    assert "\x1b" not in shown + repr(profile)
    assert "\x00" not in shown + repr(profile)


def test_at_most_fifty_columns_are_shown_and_the_rest_counted():
    profile = a_profile(columns=60)

    assert "<b>n49</b>" in profile._repr_html_()
    assert "<b>n50</b>" not in profile._repr_html_()
    assert "and 10 more columns" in profile._repr_html_()
    assert "and 10 more columns" in repr(profile)


def test_estimates_are_marked():
    column = text_column("t", Top(value="a", count=9), distinct=5000, approximate=True)
    page = Profile(rows=9000, duplicates=2, columns=(column,), sampled=500)._repr_html_()

    assert "~5,000" in page
    assert "estimated from 500 rows" in page
    assert "9,000 rows × 1 columns, 2 duplicates" in page


def test_the_text_says_the_same():
    lines = repr(a_profile(columns=1, warnings=("look here",))).splitlines()
    assert ["Profile: 100 rows × 1 columns", "  ! look here"] == lines[:2]
    assert "  n0  double, 25\u00a0% missing, 9 distinct, -1.5 … 1000, median 3" == lines[2]


def test_the_frame_has_a_row_for_each_column():
    frame = a_profile().frame
    assert (["n0", "n1", "n2"], [0.25] * 3, [3.0] * 3) == (
        list(frame["column"]),
        list(frame["null_share"]),
        list(frame["50%"]),
    )


def a_drift(name, moved):
    column = ColumnDrift(
        name=name,
        kind="text",
        psi=0.5,
        test="chi-squared",
        statistic=9.0,
        p_value=0.0,
        distance=0.3,
        nulls_before=0.0,
        nulls_after=0.0,
        moved=moved,
        words=f"values that were not there before: {EVIL}" if moved else "",
        labels=("a", EVIL),
        before=(0.5, 0.5),
        after=(0.9, 0.1),
    )
    return Drift(rows_before=1000, rows_after=900, columns=(column,), left_out=(EVIL,))


def test_drift_names_what_moved_and_is_harmless():
    drift = a_drift(EVIL, moved=True)

    page = drift._repr_html_()

    assert "1 of 1 columns moved: 900 rows beside 1,000 before" in page
    assert 1 == len(images(page))
    assert "<script" not in page
    assert "\x1b" not in page + repr(drift)


def test_drift_without_moves_says_so():
    assert "as before" in a_drift("x", moved=False)._repr_html_()
    assert "Drift: 0 of 1 columns moved" in repr(a_drift("x", moved=False))
