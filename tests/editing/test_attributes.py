"""Edited latents give images with the requested change of an attribute, or follow zoomed and shifted images."""

import pytest
import torch
from torch import Tensor, nn

from gan.editing.attributes import NUM_IMAGES, edit, for_channels, measure, move, std, warp
from gan.editing.space import Space
from gan.metrics.attributes import ATTRIBUTES
from gan.models.sampling import latents
from gan.networks import dcgan, stylegan2


class Painter(nn.Module):
    """A latent contains the logits of the colors of four quarters, so that large values change the colors little."""

    latent_dim = 12
    classes = 0

    def __init__(self, channels: int = 3) -> None:
        super().__init__()
        self.scale = nn.Parameter(torch.tensor(0.4))
        self.channels = channels

    def forward(self, z: Tensor, label: Tensor | None = None) -> Tensor:
        quarters = torch.tanh(self.scale * z).unflatten(1, (3, 2, 2))[:, : self.channels]
        return quarters.repeat_interleave(4, 2).repeat_interleave(4, 3)


def test_attributes_change_as_requested_and_fixed_ones_stay() -> None:
    space = Space(Painter().eval())
    points = latents(range(40), 12)
    some = {name: ATTRIBUTES[name] for name in ("brightness", "saturation", "warmth")}
    before = measure(space.synthesize(points), some.values())
    of_all = std(space, some)
    units = torch.tensor([of_all[name] for name in some])
    for value in (-0.8, 0.3):
        there = edit(space, points, ATTRIBUTES, {"brightness": value * of_all["brightness"], "warmth": 0})
        change = ((measure(space.synthesize(there), some.values()) - before) / units).detach()
        assert (change[:, 0] - value).abs().mean() < 0.02 and change[:, 2].abs().mean() < 0.02
    there = edit(space, points, ATTRIBUTES, {"brightness": 0.8 * of_all["brightness"]})
    alone = measure(space.synthesize(there), some.values())
    assert ((alone - before) / units)[:, 2].abs().mean() > 0.05  # what is not held moves too


def test_fixed_attributes_keep_the_values_of_the_reference_latents() -> None:
    space = Space(Painter().eval())
    points = latents(range(20), 12)
    pushed = points + 0.5  # brighter in all
    held = edit(space, pushed, ATTRIBUTES, {"brightness": 0.0}, relative_to=points)
    before, after, free = (measure(space.synthesize(x), [ATTRIBUTES["brightness"]]) for x in (points, held, pushed))
    assert (after - before).abs().max() < 0.1 * (free - before).abs().min()


def test_latents_without_settings_stay_and_do_not_depend_on_the_batch() -> None:
    torch.manual_seed(0)
    space = Space(stylegan2.Generator((16, 16), width=4, max_channels=8, latent_dim=8).eval())
    points = space.from_z(latents(range(20), 8))
    assert edit(space, points, ATTRIBUTES, {"brightness": 0.0, "contrast": 0}) is points
    by = {"brightness": 0.1}
    together = edit(space, points, ATTRIBUTES, by)
    assert torch.equal(together[17:18], edit(space, points[17:18], ATTRIBUTES, by))


def test_the_unit_is_the_standard_deviation_over_images() -> None:
    space = Space(Painter().eval())
    some = {"contrast": ATTRIBUTES["contrast"], "red": lambda x: x[:, 0].mean((1, 2))}
    values = measure(space.synthesize(space.fixed_sample(NUM_IMAGES)), some.values()).std(0)
    assert list(std(space, some).values()) == pytest.approx(values.tolist())


def test_gray_images_have_no_attributes_of_color() -> None:
    assert list(for_channels(1)) == ["brightness", "contrast", "sharpness"]


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
    followed = move(space, points, {"shift_x": 1.0})
    before, after = ((space.render(each) - target)[known].square().sum() for each in (points, followed))
    assert after < 0.5 * before
    assert move(space, points, {"shift_x": 0.0}) is points
    assert torch.equal(move(space, points[1:2], {"shift_x": 1.0})[0], followed[1])
