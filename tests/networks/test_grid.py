"""The smallest grid of networks: that of the papers if possible."""

import pytest

from gan.networks.grid import base_grid
from gan.utils.errors import UserError


@pytest.mark.parametrize(
    ("size", "grid"), [(16, (4, 4, 2)), (24, (6, 6, 2)), (64, (4, 4, 4)), (96, (6, 6, 4)), (6, (3, 3, 1))]
)
def test_base_grid_is_that_of_the_paper_if_possible(size: int, grid: tuple[int, int, int]) -> None:
    assert base_grid((size, size)) == grid


def test_other_sizes_are_refused() -> None:
    with pytest.raises(UserError, match="size 64x65: the networks need a grid"):
        base_grid((64, 65))
