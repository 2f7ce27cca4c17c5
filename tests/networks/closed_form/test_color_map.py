"""The color map: its table, its correction by position, tiles."""

import torch

from gan.networks.closed_form.color_map import NUM_BASES, POWERS, TABLE_SIZE, ColorMap, identity_table
from gan.networks.tile_position import TilePosition


def some_map() -> ColorMap:
    torch.manual_seed(0)
    return ColorMap(identity_table(TABLE_SIZE) * 0.9 + 0.02, 0.1 * torch.randn(3, POWERS, NUM_BASES))


def test_a_new_map_is_the_identity() -> None:
    x = torch.rand(2, 3, 7, 9) * 2 - 1
    torch.testing.assert_close(ColorMap()(x), x, atol=1e-6, rtol=0)
    assert not ColorMap().varies


def test_tiles_equal_the_whole_image() -> None:
    x, change = torch.rand(1, 3, 60, 44) * 2 - 1, some_map()
    whole = change(x)
    for top, left in ((0, 0), (13, 7), (40, 30)):
        tile = change.forward_tile(x[..., top : top + 20, left : left + 14], TilePosition(top, left, 60, 44))
        torch.testing.assert_close(tile, whole[..., top : top + 20, left : left + 14], atol=1e-6, rtol=0)


def test_the_correction_is_the_same_at_any_size() -> None:
    """Every third pixel of an image of three times the size is at the same place."""
    small, large, change = torch.full((1, 3, 20, 14), 0.2), torch.full((1, 3, 60, 42), 0.2), some_map()
    torch.testing.assert_close(change(large)[..., 1::3, 1::3], change(small), atol=1e-5, rtol=0)


def test_the_map_computes_the_stated_formula() -> None:
    change = ColorMap(position=torch.zeros(3, POWERS, NUM_BASES))
    change.position[1, 2, 2] = -0.5  # y - y^2 r^4 / 2, in green
    change.read_buffers()
    x = torch.rand(1, 3, 5, 5) * 2 - 1
    y = (change(x) + 1) / 2
    level = (x + 1) / 2
    assert torch.equal(y[:, 0], ((ColorMap()(x) + 1) / 2)[:, 0])
    torch.testing.assert_close(y[0, 1, 2, 2], level[0, 1, 2, 2])  # the center
    r2 = 2 * 2 * 0.4**2
    torch.testing.assert_close(y[0, 1, 0, 0], level[0, 1, 0, 0] - 0.5 * level[0, 1, 0, 0] ** 2 * r2**2)
