"""The color map: its table, its correction by position, tiles."""

from __future__ import annotations

import torch

from gan.networks.closed_form.color_map import (
    BASES,
    FRAME_KNOTS,
    NUM_BASES,
    POWERS,
    RADIAL,
    TABLE_SIZE,
    ColorMap,
    bases,
    identity_table,
)
from gan.networks.tile_position import TilePosition


def some_map(kind: str) -> ColorMap:
    torch.manual_seed(0)
    position = torch.zeros(3, POWERS, NUM_BASES)
    position[..., BASES[kind]] = 0.1 * torch.randn(position[..., BASES[kind]].shape)
    return ColorMap(identity_table(TABLE_SIZE) * 0.9 + 0.02, position)


def test_a_new_map_is_the_identity() -> None:
    x = torch.rand(2, 3, 7, 9) * 2 - 1
    torch.testing.assert_close(ColorMap()(x), x, atol=1e-6, rtol=0)
    assert ColorMap().varies == []


def test_tiles_equal_the_whole_image() -> None:
    x = torch.rand(1, 3, 60, 44) * 2 - 1
    for kind in BASES:
        change = some_map(kind)
        assert change.varies == [kind]
        whole = change(x)
        for top, left in ((0, 0), (13, 7), (40, 30)):
            tile = change.forward_tile(x[..., top : top + 20, left : left + 14], TilePosition(top, left, 60, 44))
            torch.testing.assert_close(tile, whole[..., top : top + 20, left : left + 14], atol=1e-6, rtol=0)


def test_the_correction_is_the_same_at_any_size() -> None:
    """Every third pixel of an image of three times the size is at the same place."""
    small, large = torch.full((1, 3, 20, 14), 0.2), torch.full((1, 3, 60, 42), 0.2)
    for kind in BASES:
        torch.testing.assert_close(some_map(kind)(large)[..., 1::3, 1::3], some_map(kind)(small), atol=1e-5, rtol=0)


def test_the_map_computes_the_stated_formula() -> None:
    change = ColorMap(position=torch.zeros(3, POWERS, NUM_BASES))
    change.position[1, 2, RADIAL - 1] = -0.5  # y - y^2 r^4 / 2, in green
    change.read_buffers()
    x = torch.rand(1, 3, 5, 5) * 2 - 1
    y = (change(x) + 1) / 2
    level = (x + 1) / 2
    assert torch.equal(y[:, 0], ((ColorMap()(x) + 1) / 2)[:, 0])
    torch.testing.assert_close(y[0, 1, 2, 2], level[0, 1, 2, 2])  # the center
    r2 = 2 * 2 * 0.4**2
    torch.testing.assert_close(y[0, 1, 0, 0], level[0, 1, 0, 0] - 0.5 * level[0, 1, 0, 0] ** 2 * r2**2)


def test_functions_of_a_frame_end_where_the_frame_ends() -> None:
    middle = torch.tensor([0.5])
    frame = bases(torch.tensor([0.0, 0.5 * FRAME_KNOTS[1], 0.5 * FRAME_KNOTS[-1], FRAME_KNOTS[-1], 0.5]), middle)[
        BASES["frame"]
    ]
    torch.testing.assert_close(frame.sum(0), torch.tensor([1.0, 1.0, 1.0, 0.0, 0.0]), atol=1e-6, rtol=0)
    assert torch.equal(frame[0], torch.tensor([1.0, 0.5, 0.0, 0.0, 0.0]))
