"""The smallest grid of networks: that of the papers if possible, and an error with the nearest valid sizes."""

from __future__ import annotations

import pytest

from gan.networks.grid import base_grid
from gan.utils.errors import UserError


@pytest.mark.parametrize(
    ("size", "grid"), [(16, (4, 4, 2)), (24, (6, 6, 2)), (64, (4, 4, 4)), (96, (6, 6, 4)), (6, (3, 3, 1))]
)
def test_base_grid_is_that_of_the_paper_if_possible(size: int, grid: tuple[int, int, int]) -> None:
    assert base_grid((size, size)) == grid


@pytest.mark.parametrize(
    ("size", "near"), [((65, 65), "64x64"), ((100, 100), "96x96 and 112x112"), ((64, 65), "64x64")]
)
def test_a_size_that_cannot_be_built_names_the_nearest(size: tuple[int, int], near: str) -> None:
    with pytest.raises(UserError, match=near):
        base_grid(size)
