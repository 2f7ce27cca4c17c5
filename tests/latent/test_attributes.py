"""Edited latents give images with the requested change of an attribute."""

import pytest
import torch
from torch import Tensor, nn

from gan.common.errors import UserError
from gan.inference.sampling import latents
from gan.latent.attributes import NUM_IMAGES, check, edit, for_channels, measure, std
from gan.latent.space import Space
from gan.metrics.attributes import ATTRIBUTES
from gan.networks import stylegan2


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


def test_unknown_attributes() -> None:
    with pytest.raises(UserError, match="choose from brightness, contrast"):
        check("zoom", for_channels(3))
    gray = for_channels(1)
    assert list(gray) == ["brightness", "contrast", "sharpness"]
    with pytest.raises(UserError, match="gray images have no color"):
        check("warmth", gray)
