"""Zoom and shift: warped images, and latents that follow them."""

import pytest
import torch

from gan.editing.position import edit, measure_shift, warp
from gan.editing.space import Space
from gan.models.sampling import latents
from gan.networks import dcgan


def test_images_are_warped_by_the_setting() -> None:
    x = torch.arange(16.0).repeat(1, 1, 16, 1)  # (1, 1, 16, 16), each column its number
    right = warp(x, shift_x=1)[0, 0]  # an eighth of 16 is two
    assert torch.allclose(right[:, 2:], x[0, 0, :, :-2], atol=1e-4) and right[:, :2].isnan().all()
    down = warp(x.mT, shift_y=-2)[0, 0]
    assert torch.allclose(down[:-4], x[0, 0].T[4:], atol=1e-4) and down[-4:].isnan().all()
    near = warp(x, zoom=1)[0, 0]
    assert torch.allclose(near[0, 4:12].diff(), torch.full((7,), 1 / 1.25), atol=1e-4) and near.isfinite().all()
    far = warp(x, zoom=-1)[0, 0]
    assert torch.allclose(far[8, 4:12].diff(), torch.full((7,), 1.25), atol=1e-4) and far[0].isnan().all()
    assert torch.allclose(warp(x), x, atol=1e-4)


def test_latents_follow_the_warped_image() -> None:
    torch.manual_seed(0)
    space = Space(dcgan.Generator((16, 16), width=8, latent_dim=32).eval())
    points = latents([1, 2, 3], 32)
    target = warp(space.render(points), shift_x=1)
    known = target.isfinite()
    followed = edit(space, points, {"shift_x": 1.0})
    before, after = ((space.render(each) - target)[known].square().sum() for each in (points, followed))
    assert after < 0.5 * before
    assert edit(space, points, {"shift_x": 0.0}) is points
    assert torch.equal(edit(space, points[1:2], {"shift_x": 1.0})[0], followed[1])


@pytest.mark.parametrize("name", ["zoom", "shift_x", "shift_y"])
def test_the_shift_of_images_is_measured(name: str) -> None:
    generator = torch.Generator().manual_seed(0)
    coarse = torch.rand(4, 3, 8, 8, generator=generator) * 2 - 1
    pictures = torch.nn.functional.interpolate(coarse, (48, 48), mode="bicubic")
    for value in (-1.03, 0.0, 0.55):
        after = warp(pictures, **{name: value}).nan_to_num(0)
        assert measure_shift(pictures, after, name).tolist() == pytest.approx([value] * 4, abs=0.03)
