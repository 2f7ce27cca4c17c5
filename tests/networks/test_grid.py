"""The grid that networks start from: the papers' where it can be, and a helpful no to sizes that have none."""

from __future__ import annotations

import pytest

from gan.common.errors import UserError
from gan.networks.grid import base_grid


@pytest.mark.parametrize(
    ("size", "grid"), [(16, (4, 4, 2)), (24, (6, 6, 2)), (64, (4, 4, 4)), (96, (6, 6, 4)), (6, (3, 3, 1))]
)
def test_base_grid_is_the_papers_where_it_can_be(size: int, grid: tuple[int, int, int]) -> None:
    assert base_grid((size, size)) == grid


@pytest.mark.parametrize(
    ("size", "near"), [((65, 65), "64x64"), ((100, 100), "96x96 and 112x112"), ((64, 65), "64x64")]
)
def test_a_size_that_cannot_be_built_names_the_nearest(size: tuple[int, int], near: str) -> None:
    with pytest.raises(UserError, match=near):
        base_grid(size)
