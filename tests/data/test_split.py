"""Groups stay on one side of the split, independent of the order and the other images."""

import random

import numpy as np
import pytest

from gan.data.split import select
from gan.utils.errors import UserError

CROPS = [f"{photo:03}_{x}_{y}.jpg" for photo in range(60) for x in range(3) for y in range(3)]


def split(kind: str, names: list[str], fraction: float = 0.2) -> dict[str, bool]:
    return dict(zip(names, select(kind, names, [], fraction).tolist(), strict=True))


@pytest.mark.parametrize(
    ("kind", "names", "group"),
    [
        ("prefix", CROPS, lambda name: name[:3]),
        ("prefix", [f"a/{n}-{c}.png" for n in range(40) for c in "xyz"], lambda name: name.split("-")[0]),
        ("folder", [f"{n}/{c}.png" for n in range(40) for c in "xyz"], lambda name: name.split("/")[0]),
        ("file", CROPS, lambda name: name),
    ],
)
def test_groups_are_not_cut(kind, names, group):
    chosen = split(kind, names)
    assert 0.05 < np.mean(list(chosen.values())) < 0.4
    for one in names:
        assert all(chosen[one] == chosen[name] for name in names if group(name) == group(one))


def test_another_seed_selects_other_groups() -> None:
    first, second, again = (select("prefix", CROPS, [], 0.2, seed) for seed in (0, 1, 1))
    assert (second == again).all() and (first != second).any()
    assert (first == select("prefix", CROPS, [], 0.2)).all()


def test_the_order_and_the_others_do_not_matter():
    shuffled = random.Random(0).sample(CROPS, len(CROPS))
    assert split("prefix", shuffled) == split("prefix", CROPS)
    more = split("prefix", [*CROPS, "new_0_0.jpg"])
    assert {name: more[name] for name in CROPS} == split("prefix", CROPS)


def test_duplicates_stay_together():
    pictures = [np.full((2, 2, 3), index // 2, np.uint8) for index in range(200)]
    chosen = select("content", [str(index) for index in range(200)], pictures, 0.3)
    assert (chosen[::2] == chosen[1::2]).all() and 0.15 < chosen.mean() < 0.45


@pytest.mark.parametrize("fraction", [0.0001, 0.9999])
def test_neither_side_is_empty(fraction):
    chosen = list(split("file", ["a", "b", "c"], fraction).values())
    assert sum(chosen) == (1 if fraction < 0.5 else 2)


@pytest.mark.parametrize(
    ("kind", "fraction", "message"),
    [
        ("deck", 0.1, "data.split=deck: unknown"),
        ("file", 0.0, "data.validation=0.0"),
        ("folder", 0.1, "all images are in one group; use another of"),
    ],
)
def test_errors(kind, fraction, message):
    with pytest.raises(UserError, match=message):
        select(kind, ["a.png", "b.png"], [], fraction)


def test_one_file_is_too_few():
    with pytest.raises(UserError, match="all images are in one group; give at least 2 files"):
        select("file", ["a.png", "a.png"], [], 0.1)
