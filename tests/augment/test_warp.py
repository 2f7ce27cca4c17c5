"""Warps: the filter, exact results, edges, derivatives."""

import math

import pytest
import torch
from torch import Tensor
from torch.nn import functional as F

from gan.augment.warp import warp


def affine(*rows: list[float]) -> Tensor:
    return torch.tensor([rows], dtype=torch.float64)


def pictures(channels: int = 3) -> Tensor:
    return torch.rand(1, channels, 16, 24, dtype=torch.float64) * 2 - 1


@pytest.mark.parametrize("channels", [1, 3, 4])
def test_the_identity_changes_nothing_even_at_the_edges(channels: int) -> None:
    x = pictures(channels)
    torch.testing.assert_close(warp(x, affine([1, 0, 0], [0, 1, 0])), x, atol=1e-5, rtol=0)


def test_whole_pixels_and_quarter_turns() -> None:
    x = pictures()
    moved = warp(x, affine([1, 0, 3], [0, 1, -2]))  # three to the left, two down
    torch.testing.assert_close(moved[:, :, 2:, :-3], x[:, :, :-2, 3:], atol=1e-5, rtol=0)
    torch.testing.assert_close(moved[:, :, 4:, -3:], x[:, :, 2:-2, -3:].flip(3), atol=0.1, rtol=0)  # mirrored there
    square = F.interpolate(torch.rand(1, 3, 4, 4, dtype=torch.float64), size=(16, 16), mode="bicubic")
    torch.testing.assert_close(warp(square, affine([0, -1, 0], [1, 0, 0])), square.rot90(1, (2, 3)), atol=0.03, rtol=0)


@pytest.mark.parametrize("shift", [8, 20, 40])
def test_images_are_padded_by_repeated_reflection(shift: int) -> None:
    ramp = torch.linspace(-1, 1, 16, dtype=torch.float64).expand(1, 1, 16, 16)
    mirrored = torch.cat([ramp, ramp.flip(3), ramp, ramp.flip(3)], 3)
    moved = warp(ramp, affine([1, 0, shift], [0, 1, 0]))
    torch.testing.assert_close(moved, mirrored[..., shift : shift + 16], atol=0.06, rtol=0)


@pytest.mark.parametrize("channels", [3, 4])
@pytest.mark.parametrize(("wrapped", "shift"), [((3,), [24, 0]), ((2,), [0, 16]), ((2, 3), [-24, 32])])
def test_a_whole_turn_around_a_seamless_image_changes_nothing(
    channels: int, wrapped: tuple[int, ...], shift: list[int]
) -> None:
    x = pictures(channels)
    moved = affine([1, 0, shift[0]], [0, 1, shift[1]])
    torch.testing.assert_close(warp(x, moved, wrapped), x, atol=1e-5, rtol=0)
    assert (warp(x, moved) - x).abs().max() > 0.5


def test_a_seamless_image_is_warped_as_the_plane_that_it_tiles() -> None:
    x, source = pictures(), affine([0.8, 0.3, 5.5], [-0.2, 1.1, 0.1])
    plane = warp(x.tile(1, 1, 3, 3), source)[:, :, 16:-16, 24:-24]
    torch.testing.assert_close(warp(x, source, (2, 3)), plane, atol=1e-5, rtol=0)
    row = warp(x.tile(1, 1, 1, 3), source)[..., 24:-24]  # mirrored above and below
    torch.testing.assert_close(warp(x, source, (3,)), row, atol=1e-5, rtol=0)


def test_the_edge_of_rgba_is_transparent() -> None:
    x = torch.ones(1, 4, 16, 24, dtype=torch.float64)
    assert (warp(x, affine([1, 0, 12], [0, 1, 0]))[..., -9:] < -0.8).all()
    torch.testing.assert_close(warp(x, affine([1, 0, 90], [0, 1, 0])), -x)


def test_a_downscaled_image_has_no_aliasing() -> None:
    stripes = torch.cos(math.pi * 0.9 * torch.arange(64.0)).expand(1, 1, 64, 64).double()
    reduced = warp(stripes, affine([2, 0, 0], [0, 1, 0]))[..., 24:-24]  # 1.8 pi a pixel: beyond what pixels can show
    sampled = F.grid_sample(
        stripes, F.affine_grid(affine([2, 0, 0], [0, 1, 0]), [1, 1, 64, 64], False), align_corners=False
    )
    assert reduced.std() < 0.6 * sampled[..., 24:-24].std()


def test_derivatives_of_both_orders() -> None:
    x = torch.rand(1, 4, 4, 6, dtype=torch.float64, requires_grad=True)
    for part in (x[:, :1], x):
        assert torch.autograd.gradcheck(lambda x: warp(x, affine([0.8, 0.3, 0.7], [-0.2, 1.1, 0.1])), part)
        assert torch.autograd.gradgradcheck(lambda x: warp(x, affine([0.8, 0.3, 0.7], [-0.2, 1.1, 0.1])) ** 2, part)
