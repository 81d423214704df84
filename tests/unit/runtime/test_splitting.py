import numpy as np
import pandas as pd
import pytest

from mltemporal.runtime.splitting import hold_out


def table(classes: list[object]) -> pd.DataFrame:
    return pd.DataFrame({"row": range(len(classes)), "y": classes})


def parts(
    frame: pd.DataFrame, *, share: float = 0.2, seed: int = 0, stratify: bool = True
) -> tuple[list[int], list[int]]:
    seen, held_out = hold_out(frame, "y", share=share, seed=seed, stratify=stratify)
    return seen["row"].tolist(), held_out["row"].tolist()


def test_each_row_is_in_one_part_in_the_tables_order() -> None:
    seen, held_out = parts(table(["a", "b"] * 50))

    assert list(range(100)) == sorted(seen + held_out)
    assert (sorted(seen), sorted(held_out)) == (seen, held_out)
    assert 20 == len(held_out)


def test_the_seed_decides() -> None:
    frame = table(["a", "b"] * 50)

    assert parts(frame) == parts(frame)
    assert parts(frame) != parts(frame, seed=1)


@pytest.mark.parametrize("seed", range(20))
def test_each_class_keeps_its_share_to_within_a_row(seed: int) -> None:
    frame = table(["a"] * 70 + ["b"] * 25 + ["c"] * 5)

    _, held_out = hold_out(frame, "y", share=0.2, seed=seed, stratify=True)

    counts = held_out["y"].value_counts()
    assert 20 == pytest.approx(len(held_out), abs=1)
    assert all(abs(counts[name] - size * 0.2) <= 1 for name, size in (("a", 70), ("b", 25), ("c", 5)))


def test_a_class_of_one_row_and_rows_without_a_target_are_trained_on() -> None:
    for seed in range(20):
        _, held_out = parts(table(["a"] * 50 + ["alone"] + [None] * 49), share=0.9, seed=seed)
        assert max(held_out) < 50


def test_nothing_is_held_out_for_a_share_of_0_or_from_a_tiny_table() -> None:
    assert [] == parts(table(["a", "b"] * 50), share=0)[1]
    assert [] == parts(table(["a", "b", "a", "b"]))[1]


def test_numbers_are_held_out_at_random() -> None:
    _, held_out = parts(table(list(np.arange(1000.0))), stratify=False)

    assert 200 == pytest.approx(len(held_out), abs=1)
    assert 400 < np.mean(held_out) < 600
